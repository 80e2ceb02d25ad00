//! How a lane stores dead letters.

use std::sync::atomic::Ordering;

use super::Settle;
use super::error::BusError;
use super::handler::Handler;
use super::handler_error::HandlerError;
use super::header;
use super::lane::{Current, Failed, Lane};
use super::message::Message;
use crate::telemetry::Scope;

impl<S: Settle, H: Handler> Lane<S, H> {
    /// Stores the message as a dead letter, however long that takes: until then it is neither done nor reported as one.
    /// One that can never be stored is left to the broker.
    pub(super) async fn dead_letter(&self, current: Current<S>, attempts: u32, failed: &Failed) {
        if self.is_lost(&current) {
            return;
        }
        let letter = self.letter(&current, attempts, &failed.error);
        match self.parked(&current, &letter).await {
            None => {}
            Some(Err(error)) => self.leave(current, &failed.scope, &error).await,
            Some(Ok(())) => {
                let error_type = failed.error.error_type();
                self.handling.telemetry.dead_lettered(&failed.scope, &current.received, error_type);
                self.settled(&current.settle.ack().await);
                self.counts.dead_lettered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Leaves to the broker what can never be stored as a dead letter, and says so.
    async fn leave(&self, current: Current<S>, scope: &Scope, error: &BusError) {
        self.handling.telemetry.dead_lettered(scope, &current.received, error.error_type());
        self.settled(&current.settle.reject().await);
        self.counts.unkeepable.fetch_add(1, Ordering::Relaxed);
    }

    /// Stores the message, or finds that it can never be stored. `None` if it went to another member before.
    async fn parked(&self, current: &Current<S>, letter: &Message) -> Option<Result<(), BusError>> {
        for retry in 0.. {
            match current.settle.park(letter).await {
                kept @ (Ok(()) | Err(BusError::Unkeepable { .. })) => return Some(kept),
                Err(error) => self.counts.not_kept(&error, retry),
            }
            tokio::time::sleep(self.handling.retries.pause(retry)).await;
            if self.is_lost(current) {
                break;
            }
        }
        None
    }

    /// A letter that fails again keeps its first source, and its count goes on.
    fn letter(&self, current: &Current<S>, attempts: u32, error: &HandlerError) -> Message {
        let message = Message::clone(&current.received);
        let told = |name| message.headers().text(name).filter(|_| current.received.is_replayed());
        let earlier = told(header::DEAD_LETTER_ATTEMPTS).and_then(|attempts| attempts.parse().ok()).unwrap_or(0);
        let attempts = attempts.saturating_add(earlier);
        let source = told(header::DEAD_LETTER_SOURCE).unwrap_or(&current.source.name).to_owned();
        message
            .with_header(header::DEAD_LETTER_REASON, error.error_type().to_owned())
            .with_header(header::DEAD_LETTER_ATTEMPTS, attempts.to_string())
            .with_header(header::DEAD_LETTER_AT, self.handling.telemetry.now().to_string())
            .with_header(header::DEAD_LETTER_SOURCE, source)
    }

    /// Puts a dead letter that is not to be retried back unchanged, behind the others.
    pub(super) async fn put_back(&self, letter: Current<S>) {
        match self.parked(&letter, &letter.received).await {
            None => {}
            Some(Err(error)) => self.leave(letter, &Scope::current(), &error).await,
            Some(Ok(())) => self.settled(&letter.settle.ack().await),
        }
    }
}
