//! Steps and what they have sent: statements go out one behind the other, and their answers are waited for together.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio_postgres::Error;

use super::super::PostgresTransaction;
use super::super::transaction::Queued;
use crate::projection::{StepResult, caught};

/// How many answers a batch waits for at most, before its next step begins.
const UNANSWERED: usize = 1024;

/// The steps of one transaction.
pub(super) struct Pipeline<'t> {
    tx: &'t PostgresTransaction<'t>,
    /// In the order in which they were sent, which is that of the answers.
    unanswered: VecDeque<Sent<'t>>,
    failed: Option<(usize, Error)>,
    taken: Vec<Queued>,
}

struct Sent<'t> {
    /// The number of the step.
    step: usize,
    answer: Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 't>>,
}

impl<'t> Pipeline<'t> {
    pub(super) fn new(tx: &'t PostgresTransaction<'t>) -> Self {
        Self { tx, unanswered: VecDeque::new(), failed: None, taken: Vec::new() }
    }

    /// Runs a step. What it enqueues is sent each time that it waits, and when it ends; answers to what was sent before
    /// are taken meanwhile, since the connection reads nothing beyond one that nobody takes.
    pub(super) async fn run(&mut self, number: usize, step: impl Future<Output = StepResult> + Send) -> StepResult {
        let mut step = pin!(caught(step));
        let result = poll_fn(|task| {
            let polled = step.as_mut().poll(task);
            self.send(number, task);
            // Whatever it comes to, the step decides when this ends.
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

    /// Waits for all answers; the first statement that failed, with the number of its step.
    pub(super) async fn finish(mut self) -> Option<(usize, Error)> {
        poll_fn(|task| self.poll_answers(0, task)).await;
        self.failed
    }

    fn send(&mut self, step: usize, task: &mut Context<'_>) {
        self.tx.take_queued(&mut self.taken);
        for Queued { statement, params } in self.taken.drain(..) {
            let tx = self.tx;
            let mut answer: Sent<'t> =
                Sent { step, answer: Box::pin(async move { tx.execute_raw(&statement, params).await }) };
            // It is sent when it is polled for the first time. Its answer cannot be there yet; an error can.
            match answer.answer.as_mut().poll(task) {
                Poll::Ready(Err(error)) => self.failed = self.failed.take().or(Some((step, error))),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => self.unanswered.push_back(answer),
            }
        }
    }

    /// Takes answers, until no more than so many are missing.
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
