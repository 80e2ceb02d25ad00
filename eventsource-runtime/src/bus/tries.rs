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
#[derive(Clone, Copy)]
pub(super) struct Tries {
    retries: Retries,
    failures: u32,
    /// Since when the store has been in trouble, if the last attempt failed for that.
    trouble: Option<Instant>,
    /// How many attempts have failed in a row for the store's trouble, or not for that.
    alike: u32,
}

impl Tries {
    pub(super) fn of(retries: Retries) -> Self {
        Self { retries, failures: 0, trouble: None, alike: 0 }
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

    /// Counts a failure, and returns the pause before the next attempt.
    pub(super) fn failed(&mut self, error: &HandlerError) -> Duration {
        let trouble = is_trouble(error.cause()).then(|| self.trouble.unwrap_or_else(Instant::now));
        self.alike = if trouble.is_some() == self.trouble.is_some() { self.alike + 1 } else { 1 };
        self.failures += u32::from(trouble.is_none());
        self.trouble = trouble;
        self.retries.pause(self.alike - 1)
    }

    /// Those of one message of a batch that failed: it has a patience of its own.
    pub(super) fn of_another(self) -> Self {
        Self { trouble: None, ..self }
    }

    /// Whether the store was in trouble at the last attempt.
    pub(super) fn are_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }
}
