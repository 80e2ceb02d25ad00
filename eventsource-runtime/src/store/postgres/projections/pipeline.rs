//! Steps and their statements: these are sent one after the other, and their answers awaited together.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_postgres::Error;

use super::super::PostgresTransaction;
use super::super::transaction::Queued;
use crate::projection::{StepResult, catch_panic};

/// How many answers may be pending before a batch's next step begins.
const UNANSWERED: usize = 1024;

/// The steps of one transaction.
pub(super) struct Pipeline<'t> {
    tx: &'t PostgresTransaction<'t>,
    /// In the order of sending, which is that of the answers.
    unanswered: VecDeque<Sent<'t>>,
    failed: Option<(usize, Error)>,
    taken: Vec<Queued>,
    /// When to send the server a sign of life, while a step waits for something else.
    beats: Interval,
}

struct Sent<'t> {
    /// The number of the step.
    step: usize,
    answer: Answer<'t>,
}

type Answer<'t> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 't>>;

impl<'t> Pipeline<'t> {
    /// For a transaction that the server ends after `standstill` without a message.
    pub(super) fn new(tx: &'t PostgresTransaction<'t>, standstill: Duration) -> Self {
        let pause = standstill / 3;
        let mut beats = interval_at(Instant::now() + pause, pause);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tx, unanswered: VecDeque::new(), failed: None, taken: Vec::new(), beats }
    }

    /// Runs a step. What it enqueues is sent whenever it waits, and when it ends; answers to earlier statements are
    /// taken meanwhile, since the connection reads nothing beyond one that nobody takes. A step may wait for longer
    /// than the transaction may stand still; a process that is stopped, or whose runtime is blocked, has no beat.
    pub(super) async fn run(&mut self, number: usize, step: impl Future<Output = StepResult> + Send) -> StepResult {
        let mut step = pin!(catch_panic(step));
        let result = poll_fn(|task| {
            let polled = step.as_mut().poll(task);
            self.send(number, task);
            if polled.is_pending() {
                self.beat(number, task);
            }
            // Whatever the result, the step decides when this ends.
            let _ = self.poll_answers(0, task);
            polled
        })
        .await;
        if self.unanswered.len() > UNANSWERED {
            poll_fn(|task| self.poll_answers(UNANSWERED / 2, task)).await;
        }
        result
    }

    /// Whether a statement has failed so far.
    pub(super) fn failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Waits for all answers; returns the first statement that failed, with the number of its step.
    pub(super) async fn finish(mut self) -> Option<(usize, Error)> {
        poll_fn(|task| self.poll_answers(0, task)).await;
        self.failed
    }

    fn send(&mut self, step: usize, task: &mut Context<'_>) {
        let (tx, mut taken) = (self.tx, std::mem::take(&mut self.taken));
        tx.take_queued(&mut taken);
        for Queued { statement, params } in taken.drain(..) {
            self.ask(step, Box::pin(async move { tx.execute_raw(&statement, params).await }), task);
        }
        self.taken = taken;
    }

    /// Sends an empty query, which a failed transaction accepts as well.
    fn beat(&mut self, step: usize, task: &mut Context<'_>) {
        let tx = self.tx;
        while self.beats.poll_tick(task).is_ready() {
            self.ask(step, Box::pin(async move { tx.batch_execute("").await.map(|()| 0) }), task);
        }
    }

    /// The first poll sends it. Its answer cannot be there yet; an error can.
    fn ask(&mut self, step: usize, mut answer: Answer<'t>, task: &mut Context<'_>) {
        match answer.as_mut().poll(task) {
            Poll::Ready(Err(error)) => self.failed = self.failed.take().or(Some((step, error))),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => self.unanswered.push_back(Sent { step, answer }),
        }
    }

    /// Takes answers until no more than `left` are pending.
    fn poll_answers(&mut self, left: usize, task: &mut Context<'_>) -> Poll<()> {
        while let Some(first) = self.unanswered.front_mut() {
            let Poll::Ready(answer) = first.answer.as_mut().poll(task) else {
                return if self.unanswered.len() <= left { Poll::Ready(()) } else { Poll::Pending };
            };
            let step = first.step;
            self.unanswered.pop_front();
            if let (Err(error), None) = (answer, &self.failed) {
                self.failed = Some((step, error));
            }
        }
        Poll::Ready(())
    }
}
