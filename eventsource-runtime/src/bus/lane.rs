//! One lane of a subscription: messages in order, each handled until it succeeds or is a dead letter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::error::{BusError, HandlerError};
use super::handler::{BatchHandler, Received, caught};
use super::message::Message;
use super::traced::{Ended, Outcome, Processing};
use super::wire::header;
use super::{Delivery, Intake, Settle};
use crate::telemetry::log;

tokio::task_local! {
    /// Set while a handler runs: what it publishes must not wait for itself.
    static HANDLING: ();
}

/// Whether the caller runs in a handler of this process.
pub(super) fn is_handling() -> bool {
    HANDLING.try_with(|()| ()).is_ok()
}

/// What the lanes of a subscription share.
pub(super) struct Handling {
    pub(super) telemetry: Processing,
    pub(super) retries: Retries,
    /// The most messages of a batch.
    pub(super) most: usize,
    pub(super) event_types: Option<Arc<[String]>>,
    pub(super) intake: Intake,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    pub(super) most: u32,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

impl Retries {
    fn pause(self, retry: u32) -> Duration {
        self.first_pause.saturating_mul(1 << retry.min(16)).min(self.longest_pause)
    }
}

/// What became of the messages of a subscription.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) taken: AtomicU64,
    pub(super) settled: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
}

/// A delivery that was taken, with its room among those that may be under way.
pub(super) struct Taken<S> {
    pub(super) delivery: Delivery<S>,
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Lane<S, H> {
    pub(super) handling: Arc<Handling>,
    pub(super) handler: Arc<H>,
    pub(super) taken: mpsc::UnboundedReceiver<Taken<S>>,
    pub(super) counts: Arc<Counts>,
}

/// A message that is being handled.
pub(super) struct Current<S> {
    pub(super) received: Received,
    pub(super) taken: Taken<S>,
}

impl<S: Settle, H: BatchHandler> Lane<S, H> {
    pub(super) async fn run(mut self) {
        let mut taken = Vec::new();
        while self.taken.recv_many(&mut taken, self.handling.most).await > 0 {
            let replayed = self.handling.intake.dead_letters;
            let current = taken.drain(..).filter_map(|taken| {
                let message = taken.delivery.message.clone();
                let received = Received::new(message, taken.delivery.redelivered, replayed);
                self.unless_lost(Current { received, taken })
            });
            let current: Vec<_> = current.collect();
            if !current.is_empty() {
                self.work(current).await;
            }
        }
    }

    /// Handles a batch; if it fails, its messages one by one, so that only those at fault become dead letters.
    async fn work(&self, batch: Vec<Current<S>>) {
        self.handling.telemetry.consumed(&batch);
        if batch.len() == 1 {
            return self.persist(batch, 0).await;
        }
        match self.attempt(&batch, 0, Outcome::Retry).await {
            Ok(()) => self.acknowledge(batch).await,
            Err(_) => {
                for current in batch.into_iter().filter_map(|current| self.unless_lost(current)) {
                    self.persist(vec![current], 1).await;
                }
            }
        }
    }

    /// Handles a single message until it succeeds or the retries are used up.
    async fn persist(&self, mut batch: Vec<Current<S>>, first: u32) {
        for attempt in first.. {
            let last = attempt >= self.handling.retries.most;
            let otherwise = if last { Outcome::DeadLetter } else { Outcome::Retry };
            match self.attempt(&batch, attempt, otherwise).await {
                Ok(()) => return self.acknowledge(batch).await,
                Err(error) if last || error.is_permanent() => {
                    return self.dead_letter(batch, attempt + 1, &error).await;
                }
                Err(_) => tokio::time::sleep(self.handling.retries.pause(attempt - first)).await,
            }
            batch.retain(|current| !self.is_lost(current));
            if batch.is_empty() {
                return;
            }
        }
    }

    /// A message that is still ours.
    fn unless_lost(&self, current: Current<S>) -> Option<Current<S>> {
        (!self.is_lost(&current)).then_some(current)
    }

    /// Whether a message goes to another member, which may be handling it by now: then it is left to that.
    fn is_lost(&self, current: &Current<S>) -> bool {
        let is_lost = current.taken.delivery.settle.is_lost();
        if is_lost {
            self.settled(&Err(BusError::Lost));
        }
        is_lost
    }

    /// One attempt, in a span of its own. `otherwise` is what becomes of a message that fails.
    async fn attempt(&self, batch: &[Current<S>], attempt: u32, otherwise: Outcome) -> Result<(), HandlerError> {
        let telemetry = &self.handling.telemetry;
        let messages = batch.iter().map(|current| current.received.again(attempt)).collect::<Vec<_>>();
        let span = telemetry.span(batch, &messages);
        let begun = Instant::now();
        let handling = HANDLING.scope((), caught(self.handler.handle_batch(messages)));
        let result = span.run(handling).await;
        let outcome = match &result {
            Ok(()) => Outcome::Ack,
            Err(error) if error.is_permanent() && batch.len() == 1 => Outcome::DeadLetter,
            Err(_) => otherwise,
        };
        telemetry.ended(
            span,
            batch,
            Ended { outcome, attempt, error: result.as_ref().err(), elapsed: begun.elapsed() },
        );
        result
    }

    async fn acknowledge(&self, batch: Vec<Current<S>>) {
        for current in batch {
            let settled = current.taken.delivery.settle.ack().await;
            self.settled(&settled);
            self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the message among the dead letters, however long that takes: until then it is not done with.
    async fn dead_letter(&self, batch: Vec<Current<S>>, attempts: u32, error: &HandlerError) {
        for current in batch.into_iter().filter_map(|current| self.unless_lost(current)) {
            let Some(delivery) = self.parked(current, attempts, error).await else { continue };
            let settled = delivery.settle.ack().await;
            self.settled(&settled);
            self.counts.dead_lettered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The delivery of a message that is now among the dead letters; `None` if it went to another member before.
    async fn parked(&self, current: Current<S>, attempts: u32, error: &HandlerError) -> Option<Delivery<S>> {
        let letter = self.letter(&current.taken.delivery, attempts, error);
        for retry in 0.. {
            let Err(error) = current.taken.delivery.settle.park(&letter).await else { break };
            log::message_unsettled(&self.handling.intake.group, error.error_type());
            tokio::time::sleep(self.handling.retries.pause(retry)).await;
            if self.is_lost(&current) {
                return None;
            }
        }
        Some(current.taken.delivery)
    }

    fn letter(&self, delivery: &Delivery<S>, attempts: u32, error: &HandlerError) -> Message {
        let message = delivery.message.clone();
        message
            .with_header(header::DEAD_LETTER_REASON, error.error_type().to_owned())
            .with_header(header::DEAD_LETTER_ATTEMPTS, attempts.to_string())
            .with_header(header::DEAD_LETTER_AT, self.handling.telemetry.now().to_string())
            .with_header(header::DEAD_LETTER_SOURCE, delivery.source.name.to_string())
    }

    fn settled(&self, settled: &Result<(), BusError>) {
        self.counts.settled.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = settled {
            log::message_unsettled(&self.handling.intake.group, error.error_type());
        }
    }
}
