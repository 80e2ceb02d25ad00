//! One lane of a subscription: messages in order, each handled until it succeeds or becomes a dead letter.

use std::future::{Future, poll_fn};
use std::iter;
use std::mem;
use std::pin::pin;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::counts::Counts;
use super::error::BusError;
use super::handler::{Handler, Received, catch_panic};
use super::handler_error::HandlerError;
use super::message::Message;
use super::running::Stop;
use super::traced::{Ended, Outcome, Processing};
use super::tries::{Retries, Tries};
use super::{Delivery, Destination, Intake, Settle};
use crate::clock::Timestamp;
use crate::dispatch::Handled;
use crate::poll::unless;
use crate::telemetry::Scope;

/// How many handled messages are settled together.
const TOGETHER: usize = 64;
/// How long one of them may wait for the next.
const TOGETHER_FOR: Duration = Duration::from_millis(10);

/// What the lanes of a subscription share.
pub(super) struct Handling {
    pub(super) telemetry: Processing,
    pub(super) retries: Retries,
    /// How long a call of the handler may take.
    pub(super) timeout: Option<Duration>,
    /// The maximum size of a batch.
    pub(super) most: usize,
    pub(super) event_types: Option<Arc<[String]>>,
    pub(super) intake: Intake,
}

impl Handling {
    pub(super) fn wants(&self, message: &Message) -> bool {
        let Some(names) = &self.event_types else { return true };
        message.event_type().is_some_and(|event_type| names.iter().any(|name| name == event_type))
    }
}

/// A message that is being handled.
pub(super) struct Current<S> {
    pub(super) received: Received,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) source: Destination,
    pub(super) settle: S,
}

impl<S> Current<S> {
    pub(super) fn new(delivery: Delivery<S>, replayed: bool) -> Self {
        let Delivery { message, redelivered, sent_at, source, settle, lane: _ } = delivery;
        Self { received: Received::new(message, redelivered, replayed), sent_at, source, settle }
    }
}

/// Why an attempt failed, what becomes of its message, and what surrounded it.
pub(super) struct Failed {
    pub(super) error: HandlerError,
    outcome: Outcome,
    pub(super) scope: Scope,
}

/// Messages that were handled and are still to be settled. They are settled together, as soon as a handler waits for
/// something, there are no more, there are many, or it takes too long.
struct Done<S> {
    settles: Vec<S>,
    /// When handling the first of them began.
    since: Option<Instant>,
}

impl<S> Done<S> {
    fn is_due(&self, now: Instant) -> bool {
        self.settles.len() >= TOGETHER || self.since.is_some_and(|since| now.duration_since(since) >= TOGETHER_FOR)
    }

    fn add(&mut self, current: Current<S>, begun: Instant) {
        self.settles.push(current.settle);
        self.since.get_or_insert(begun);
    }
}

pub(super) struct Lane<S, H> {
    pub(super) handling: Arc<Handling>,
    handler: Arc<H>,
    taken: mpsc::UnboundedReceiver<Vec<Current<S>>>,
    pub(super) counts: Arc<Counts>,
    /// Whether anybody reads the measurements: finding that out costs about as much as an empty handler.
    is_measured: bool,
    stop: watch::Receiver<Stop>,
    /// Whether the rest is left to other members.
    is_leaving: AtomicBool,
}

impl<S: Settle, H: Handler> Lane<S, H> {
    pub(super) fn new(
        handling: Arc<Handling>,
        handler: Arc<H>,
        taken: mpsc::UnboundedReceiver<Vec<Current<S>>>,
        counts: Arc<Counts>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        Self { handling, handler, taken, counts, is_measured: false, stop, is_leaving: AtomicBool::new(false) }
    }

    pub(super) async fn run(mut self) {
        let (mut taken, mut done) = (Vec::new(), Done { settles: Vec::new(), since: None });
        while self.taken.recv_many(&mut taken, usize::from(self.handling.intake.prefetch)).await > 0 {
            self.is_measured = self.handling.telemetry.is_measured();
            let mut taken = taken.drain(..).flatten();
            while let Some(current) = taken.next() {
                if self.handling.most == 1 {
                    self.work_alone(current, &mut done).await;
                } else {
                    let batch = iter::once(current).chain(taken.by_ref()).take(self.handling.most).collect();
                    self.work(batch, &mut done).await;
                }
            }
            self.settle(&mut done).await;
        }
    }

    async fn work_alone(&self, current: Current<S>, done: &mut Done<S>) {
        if self.is_lost(&current) {
            return;
        }
        // Dead letters only: other unwanted messages do not come here.
        if !self.handling.wants(&current.received) {
            self.settle(done).await;
            return self.put_back(current).await;
        }
        self.consumed(slice::from_ref(&current));
        self.persist(current, 0, Tries::of(self.handling.retries), done).await;
    }

    fn consumed(&self, batch: &[Current<S>]) {
        if self.is_measured {
            self.handling.telemetry.consumed(batch);
        }
    }

    /// Handles a batch; if it fails, its messages one by one, so that only those at fault become dead letters.
    async fn work(&self, batch: Vec<Current<S>>, done: &mut Done<S>) {
        let mut batch = self.not_lost(batch);
        for unwanted in batch.extract_if(.., |current| !self.handling.wants(&current.received)) {
            self.settle(done).await;
            self.put_back(unwanted).await;
        }
        self.consumed(&batch);
        let (mut first, mut tries) = (0, Tries::of(self.handling.retries));
        if batch.len() > 1 {
            let (result, begun) = self.attempt(&batch, &tries, done).await;
            let Err(failed) = result else { return batch.into_iter().for_each(|current| done.add(current, begun)) };
            let pause = tries.failed(&failed.error);
            drop(failed);
            self.settle(done).await;
            if tries.are_in_trouble() {
                self.pause(pause, &tries).await;
            }
            batch = self.not_lost(batch);
            first = 1;
        }
        for current in batch {
            self.persist(current, first, tries.of_another(), done).await;
        }
    }

    /// Handles a single message until it succeeds or the retries are exhausted. A store that is in trouble is waited
    /// for, and costs none of them.
    async fn persist(&self, mut current: Current<S>, first: u32, mut tries: Tries, done: &mut Done<S>) {
        for attempt in first.. {
            if self.is_lost(&current) {
                return;
            }
            current.received.attempted(attempt);
            let (result, begun) = self.attempt(slice::from_ref(&current), &tries, done).await;
            let Err(failed) = result else { return done.add(current, begun) };
            self.settle(done).await;
            if failed.outcome == Outcome::DeadLetter {
                return self.dead_letter(current, attempt + 1, &failed).await;
            }
            let pause = tries.failed(&failed.error);
            // Its span ends here, whatever keeps its context.
            drop(failed);
            self.pause(pause, &tries).await;
        }
    }

    /// Waits before the next attempt. A shutdown waits for no store: if that is in trouble, the message is redelivered,
    /// and so are those behind it.
    async fn pause(&self, pause: Duration, tries: &Tries) {
        if !tries.are_in_trouble() {
            return tokio::time::sleep(pause).await;
        }
        let mut stop = self.stop.clone();
        let asked = async { drop(stop.wait_for(|stop| *stop != Stop::Not).await) };
        // Asked first: without a pause nothing would be waited for.
        if unless(tokio::time::sleep(pause), asked).await.is_some() {
            self.counts.leave();
            self.is_leaving.store(true, Ordering::Relaxed);
        }
    }

    /// The messages that are still ours.
    fn not_lost(&self, mut batch: Vec<Current<S>>) -> Vec<Current<S>> {
        batch.retain(|current| !self.is_lost(current));
        batch
    }

    /// Whether a message goes to another member, which may be handling it by now: then it is left to that one.
    pub(super) fn is_lost(&self, current: &Current<S>) -> bool {
        let is_lost = self.is_leaving.load(Ordering::Relaxed) || current.settle.is_lost();
        if is_lost {
            self.settled(&Err(BusError::Lost));
        }
        is_lost
    }

    /// One attempt in its own span, and when it began.
    async fn attempt(&self, batch: &[Current<S>], tries: &Tries, done: &mut Done<S>) -> (Result<(), Failed>, Instant) {
        let telemetry = &self.handling.telemetry;
        let mut begun = Instant::now();
        if done.is_due(begun) {
            self.settle(done).await;
            // That was the broker's time, and none of this message's.
            begun = Instant::now();
        }
        let span = telemetry.span(batch);
        let handled = async {
            match batch {
                [one] => self.handler.one(one.received.clone()).await,
                many => self.handler.many(many.iter().map(|each| each.received.clone()).collect()).await,
            }
        };
        let handled = self.in_time(handled);
        let (result, ended) = self.handled(span.run(self.at_hand(batch).scope(catch_panic(handled))), done).await;
        let outcome = result.as_ref().map_or_else(|error| tries.outcome(error, batch.len()), |()| Outcome::Ack);
        let result = result.map_err(|error| Failed { error, outcome, scope: span.scope(false) });
        let error = result.as_ref().err().map(|failed| &failed.error);
        let elapsed = ended.map(|ended| ended.duration_since(begun));
        telemetry.ended(span, batch, Ended { outcome, error, elapsed });
        (result, begun)
    }

    async fn in_time(&self, handled: impl Future<Output = Result<(), HandlerError>>) -> Result<(), HandlerError> {
        match self.handling.timeout {
            None => handled.await,
            Some(most) => timeout(most, handled).await.unwrap_or_else(|_| Err(HandlerError::timed_out(most))),
        }
    }

    /// What a handler of these messages is handling.
    fn at_hand(&self, batch: &[Current<S>]) -> Handled {
        let is_in_process = self.handling.telemetry.is_in_process();
        match batch {
            [one] => Handled::message(one.received.id(), one.received.correlation_id(), is_in_process),
            _ => Handled::batch(is_in_process),
        }
    }

    /// The result of a handler, and when it came, if that is measured. While it waits for something, finished messages
    /// are settled.
    async fn handled(
        &self,
        handling: impl Future<Output = Result<(), HandlerError>>,
        done: &mut Done<S>,
    ) -> (Result<(), HandlerError>, Option<Instant>) {
        let (mut handling, mut settling) = (pin!(handling), pin!(self.settle(done)));
        let (mut result, mut waits, mut is_settled) = (None, false, false);
        poll_fn(|task| {
            if result.is_none()
                && let Poll::Ready(ready) = handling.as_mut().poll(task)
            {
                result = Some((ready, self.is_measured.then(Instant::now)));
            }
            waits |= result.is_none();
            if waits && !is_settled {
                is_settled = settling.as_mut().poll(task).is_ready();
            }
            let is_over = is_settled || !waits;
            result.take_if(|_| is_over).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    async fn settle(&self, done: &mut Done<S>) {
        if done.settles.is_empty() {
            return;
        }
        done.since = None;
        let settles = mem::take(&mut done.settles);
        let count = settles.len();
        let failed = S::ack_all(settles).await;
        for error in &failed {
            self.counts.unsettled(error);
        }
        self.counts.acknowledged.fetch_add(count.saturating_sub(failed.len()) as u64, Ordering::Relaxed);
        self.counts.settled(count);
    }

    pub(super) fn settled(&self, settled: &Result<(), BusError>) {
        if let Err(error) = settled {
            self.counts.unsettled(error);
        }
        self.counts.settled(1);
    }
}
