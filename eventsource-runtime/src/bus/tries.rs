//! How often a message is handled.

use std::time::Duration;

use tokio::time::Instant;

use super::error::HandlerError;
use super::traced::Outcome;
use crate::store::is_trouble;

/// How often a message is retried, and after which pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    pub(super) most: u32,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    /// How long a store may be in trouble.
    pub(super) patience: Duration,
}

impl Retries {
    pub(super) fn pause(self, retry: u32) -> Duration {
        self.first_pause.saturating_mul(1 << retry.min(16)).min(self.longest_pause)
    }
}

/// What went wrong with a message so far. A store in trouble says nothing of the message, and costs it no retry.
pub(super) struct Tries {
    retries: Retries,
    failures: u32,
    trouble: Option<Instant>,
}

impl Tries {
    pub(super) fn of(retries: Retries, failures: u32) -> Self {
        Self { retries, failures, trouble: None }
    }

    /// What becomes of messages that fail once more. Those of a batch are handled one by one.
    pub(super) fn outcome(&self, error: &HandlerError, messages: usize) -> Outcome {
        let is_over = || {
            if is_trouble(error.cause()) {
                self.trouble.map_or(Duration::ZERO, |since| since.elapsed()) >= self.retries.patience
            } else {
                self.failures >= self.retries.most
            }
        };
        if messages == 1 && (error.is_permanent() || is_over()) { Outcome::DeadLetter } else { Outcome::Retry }
    }

    pub(super) fn failed(&mut self, error: &HandlerError) {
        if is_trouble(error.cause()) {
            self.trouble.get_or_insert_with(Instant::now);
        } else {
            self.failures += 1;
        }
    }
}
