//! Errors of buses.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use crate::error::{About, BoxError, say};

/// Why a message was not published, as far as the bus knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The bus was shut down.
    #[error("the bus is shut down; publish before that")]
    Closed,
    /// A subscriber's queue is full, and the bus is set up not to wait.
    #[error("the queue of `{group}` is full; publish more slowly, or let the bus wait")]
    #[non_exhaustive]
    Full {
        /// The slow subscriber.
        group: String,
    },
    /// The message is longer than the bus accepts. Reported before anything is sent, unless only the broker knows its
    /// limit, as `RabbitMQ` does for a payload.
    #[error(
        "a message of {size} bytes is longer than the {limit} that `{destination}` takes; send a reference instead"
    )]
    #[non_exhaustive]
    TooLarge {
        /// The intended destination.
        destination: String,
        /// Its length in bytes.
        size: usize,
        /// The maximum length.
        limit: usize,
    },
    /// A part of the message does not fit the broker's protocol. Reported before anything is sent.
    #[error("`{part}` of a message for `{destination}` does not fit the protocol: {problem}; change it")]
    #[non_exhaustive]
    Invalid {
        /// The intended destination.
        destination: String,
        /// What does not fit.
        part: &'static str,
        /// Why.
        problem: &'static str,
    },
    /// Nothing takes messages of that kind: on RabbitMQ, and on an in-process bus that is set up to
    /// [refuse](super::InProcessOptions::refuse_unroutable) them.
    #[error("no queue takes messages for `{destination}`; subscribe a group before publishing")]
    #[non_exhaustive]
    Unroutable {
        /// The intended destination.
        destination: String,
    },
    /// The broker refused it.
    #[error("the broker refused a message for `{destination}`; its queue may be full")]
    #[non_exhaustive]
    Refused {
        /// The intended destination.
        destination: String,
    },
    /// The broker takes nothing for that destination, on RabbitMQ: there is no such exchange (`NOT_FOUND`), or the
    /// account may not publish to it (`ACCESS_REFUSED`). What was under way when it said so may have been received.
    #[error("the broker takes no message for `{destination}`: {code}; see that it is there, and that the account may")]
    #[non_exhaustive]
    Denied {
        /// The intended destination.
        destination: String,
        /// The broker's code.
        code: &'static str,
    },
    /// The broker did not confirm it in time; it may have received it all the same.
    #[error("the broker did not confirm a message for `{destination}` within {waited:?}; publish it again")]
    #[non_exhaustive]
    TimedOut {
        /// The intended destination.
        destination: String,
        /// How long the bus waited.
        waited: Duration,
    },
    /// An earlier message of the same stream could not be published.
    #[error("an earlier message of `{stream}` was not published; publish it first, then this one")]
    #[non_exhaustive]
    Behind {
        /// The stream.
        stream: String,
    },
    /// The broker or the network failed.
    #[error("the bus failed while it tried to {attempt}{}", About(about))]
    #[non_exhaustive]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do; empty if not given.
        about: Box<str>,
        /// The error of the back end.
        source: BoxError,
    },
}

/// For buses of your own.
impl PublishError {
    /// The queue of a group is full.
    pub fn full(group: impl Into<String>) -> Self {
        Self::Full { group: group.into() }
    }

    /// The message has `size` bytes, of which the destination takes `limit`.
    pub fn too_large(destination: impl Into<String>, size: usize, limit: usize) -> Self {
        Self::TooLarge { destination: destination.into(), size, limit }
    }

    /// A part of the message has a problem with the protocol; neither quotes the message.
    pub fn invalid(destination: impl Into<String>, part: &'static str, problem: &'static str) -> Self {
        Self::Invalid { destination: destination.into(), part, problem }
    }

    /// Nothing takes messages of that kind.
    pub fn unroutable(destination: impl Into<String>) -> Self {
        Self::Unroutable { destination: destination.into() }
    }

    /// The broker refused it.
    pub fn refused(destination: impl Into<String>) -> Self {
        Self::Refused { destination: destination.into() }
    }

    /// The broker takes nothing for that destination, and says why by a code of its protocol.
    pub fn denied(destination: impl Into<String>, code: &'static str) -> Self {
        Self::Denied { destination: destination.into(), code }
    }

    /// The broker did not confirm it in the time that the bus waited.
    pub fn timed_out(destination: impl Into<String>, waited: Duration) -> Self {
        Self::TimedOut { destination: destination.into(), waited }
    }

    /// An earlier message of the stream could not be published.
    pub fn behind(stream: impl Into<String>) -> Self {
        Self::Behind { stream: stream.into() }
    }

    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Adds what a failure of the back end was about, and what to do, if that is not set yet; other errors stay as they
    /// are. [`Traced`](super::Traced) adds the destination.
    #[must_use]
    pub fn about(mut self, what: impl FnOnce() -> String) -> Self {
        if let Self::Backend { about, .. } = &mut self {
            say(about, what);
        }
        self
    }
}

impl PublishError {
    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::Invalid { .. } => "invalid",
            Self::Unroutable { .. } => "unroutable",
            Self::Refused { .. } => "refused",
            Self::Denied { code, .. } => code,
            Self::TimedOut { .. } => "timeout",
            Self::Behind { .. } => "behind",
            Self::Backend { .. } => "backend",
        }
    }

    /// Whether the same message can never be published, however often it is retried. A bus that was shut down says
    /// nothing of the message: a program that is started anew may publish it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Invalid { .. })
    }
}

/// The bus could not be connected or subscribed to, or a delivery could not be settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus was shut down.
    #[error("the bus is shut down; open it again")]
    Closed,
    /// The requested configuration is not possible.
    #[error("the bus cannot be set up: {0}")]
    Configuration(Cow<'static, str>),
    /// The delivery has gone to another member, since the connection was lost or the group was rebalanced.
    #[error("the message is no longer ours; it is delivered again")]
    Lost,
    /// The message can never be stored as a dead letter, however often that is tried.
    #[error("the message cannot be kept among the dead letters; it is left to the broker")]
    #[non_exhaustive]
    Unkeepable {
        /// Why not.
        source: PublishError,
    },
    /// The broker or the network failed.
    #[error("the bus failed while it tried to {attempt}{}", About(about))]
    #[non_exhaustive]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do; empty if not given.
        about: Box<str>,
        /// The error of the back end.
        source: BoxError,
    },
}

impl BusError {
    /// The message can never be stored as a dead letter, for buses of your own.
    #[must_use]
    pub fn unkeepable(source: PublishError) -> Self {
        Self::Unkeepable { source }
    }

    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Adds what a failure of the back end was about, and what to do, if that is not set yet; other errors stay as they
    /// are. Of a subscription, [`Traced`](super::Traced) adds the group and the destination.
    #[must_use]
    pub fn about(mut self, what: impl FnOnce() -> String) -> Self {
        if let Self::Backend { about, .. } = &mut self {
            say(about, what);
        }
        self
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Configuration(_) => "configuration",
            Self::Lost => "lost",
            Self::Unkeepable { .. } => "unkeepable",
            Self::Backend { .. } => "backend",
        }
    }

    /// Whether it cannot help to ask the same of the bus again: what was asked for is not possible, or no letter can be
    /// made of the message. What a broker refuses it may allow later, and a bus that was shut down may be opened again,
    /// if only by a program that is started anew.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Configuration(_) | Self::Unkeepable { .. })
    }
}

/// Whether it says that a bus was shut down, which says nothing of the message that was to be published.
pub(crate) fn is_closed(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(PublishError::Closed)) || matches!(error.downcast_ref(), Some(BusError::Closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_back_end_is_about_what_was_said_first() {
        let about = |error: BusError| error.about(|| "at a:1; start it".into()).about(|| "anything".into()).to_string();
        let said = "the bus failed while it tried to reach a broker: at a:1; start it";
        assert_eq!(about(BusError::backend("reach a broker", "gone")), said);
        assert_eq!(about(BusError::Lost), BusError::Lost.to_string());
    }
}
