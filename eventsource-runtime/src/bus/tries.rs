//! How often a message is handled.

use std::time::Duration;

use tokio::time::Instant;

use super::handler_error::HandlerError;
use super::traced::Outcome;

/// How often a message is retried, and after which pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    pub(super) most: u32,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    /// How long what a handler needs may be in trouble.
    pub(super) patience: Duration,
}

impl Retries {
    pub(super) fn pause(self, retry: u32) -> Duration {
        self.first_pause.saturating_mul(1 << retry.min(16)).min(self.longest_pause)
    }
}

/// What went wrong with a message so far. The trouble of what a handler needs says nothing of the message, and costs it
/// no retry.
#[derive(Clone, Copy)]
pub(super) struct Tries {
    retries: Retries,
    failures: u32,
    /// Since when there has been trouble, if the last attempt failed for that.
    trouble: Option<Instant>,
    /// How many attempts have failed in a row for trouble, or not for that.
    alike: u32,
}

impl Tries {
    pub(super) fn of(retries: Retries) -> Self {
        Self { retries, failures: 0, trouble: None, alike: 0 }
    }

    /// What becomes of messages that fail once more. Those of a batch are handled one by one.
    pub(super) fn outcome(&self, error: &HandlerError, messages: usize) -> Outcome {
        let is_over = || {
            if error.is_trouble() {
                self.trouble.map_or(Duration::ZERO, |since| since.elapsed()) >= self.retries.patience
            } else {
                self.failures >= self.retries.most
            }
        };
        if messages == 1 && (error.is_permanent() || is_over()) { Outcome::DeadLetter } else { Outcome::Retry }
    }

    /// Counts a failure, and returns the pause before the next attempt.
    pub(super) fn failed(&mut self, error: &HandlerError) -> Duration {
        let trouble = error.is_trouble().then(|| self.trouble.unwrap_or_else(Instant::now));
        self.alike = if trouble.is_some() == self.trouble.is_some() { self.alike + 1 } else { 1 };
        self.failures += u32::from(trouble.is_none());
        self.trouble = trouble;
        self.retries.pause(self.alike - 1)
    }

    /// Those of one message of a batch that failed: it has a patience of its own.
    pub(super) fn of_another(self) -> Self {
        Self { trouble: None, ..self }
    }

    /// Whether there was trouble at the last attempt.
    pub(super) fn are_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(most: u32, patience: Duration) -> Tries {
        Tries::of(Retries { most, first_pause: Duration::ZERO, longest_pause: Duration::ZERO, patience })
    }

    #[test]
    fn what_is_called_trouble_costs_no_retry_until_the_patience_is_over() {
        let (away, failed) = (HandlerError::trouble("no answer"), HandlerError::new("no credit"));
        let mut patient = tries(0, Duration::MAX);
        patient.failed(&away);
        assert!(patient.are_in_trouble());
        assert!(patient.outcome(&away, 1) == Outcome::Retry && patient.outcome(&failed, 1) == Outcome::DeadLetter);
        let mut impatient = tries(9, Duration::ZERO);
        impatient.failed(&away);
        assert!(impatient.outcome(&away, 1) == Outcome::DeadLetter && impatient.outcome(&failed, 1) == Outcome::Retry);
        assert!(patient.outcome(&away.permanent(), 1) == Outcome::DeadLetter);
    }
}
