//! What goes wrong on a bus.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::error::{About, BoxError, error_type, say};

/// A message was not published, as far as the bus knows; and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The bus was shut down.
    #[error("the bus is shut down; publish before that")]
    Closed,
    /// A subscriber's queue is full, and the bus was told not to wait.
    #[error("the queue of `{group}` is full; publish more slowly, or let the bus wait")]
    Full {
        /// The slow subscriber.
        group: String,
    },
    /// The message is longer than the bus takes. Told before anything is sent, unless only the broker knows how much it
    /// takes: `RabbitMQ` of a payload.
    #[error(
        "a message of {size} bytes is longer than the {limit} that `{destination}` takes; send a reference instead"
    )]
    TooLarge {
        /// Where it should have gone.
        destination: String,
        /// Its length in bytes.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// A part of the message does not fit the broker's protocol. Told before anything is sent.
    #[error("`{part}` of a message for `{destination}` does not fit the protocol: {problem}; change it")]
    Invalid {
        /// Where it should have gone.
        destination: String,
        /// What does not fit.
        part: &'static str,
        /// Why.
        problem: &'static str,
    },
    /// Nothing takes messages of that kind.
    #[error("no queue takes messages for `{destination}`; subscribe a group before publishing")]
    Unroutable {
        /// Where it should have gone.
        destination: String,
    },
    /// The broker refused it.
    #[error("the broker refused a message for `{destination}`; its queue may be full")]
    Refused {
        /// Where it should have gone.
        destination: String,
    },
    /// The broker did not confirm it in time; it may have it all the same.
    #[error("the broker did not confirm a message for `{destination}` within {waited:?}; publish it again")]
    TimedOut {
        /// Where it should have gone.
        destination: String,
        /// For how long.
        waited: Duration,
    },
    /// An earlier message of the same stream could not be published.
    #[error("an earlier message of `{stream}` was not published; publish it first, then this one")]
    Behind {
        /// The stream.
        stream: String,
    },
    /// The broker or the network failed.
    #[error("the bus failed while it tried to {attempt}{}", About(about))]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do; empty where nobody said.
        about: Box<str>,
        /// What the back end said.
        source: BoxError,
    },
}

impl PublishError {
    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Says of a failure of the back end what it was about, if that is not said yet.
    pub(super) fn about(mut self, what: impl FnOnce() -> String) -> Self {
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
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::Invalid { .. } => "invalid",
            Self::Unroutable { .. } => "unroutable",
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timeout",
            Self::Behind { .. } => "behind",
            Self::Backend { .. } => "backend",
        }
    }

    /// Whether the same message can never be published, however often it is tried.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Closed | Self::TooLarge { .. } | Self::Invalid { .. })
    }
}

/// A bus could not be connected, subscribed to, or told what became of a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus was shut down.
    #[error("the bus is shut down; open it again")]
    Closed,
    /// What it was told cannot be done.
    #[error("the bus cannot be set up: {0}")]
    Configuration(Cow<'static, str>),
    /// The delivery has gone to somebody else meanwhile, since the connection was lost or the group was shared anew.
    #[error("the message is no longer ours; it is delivered again")]
    Lost,
    /// The message can never be kept among the dead letters, however often that is tried.
    #[error("the message cannot be kept among the dead letters; it is left to the broker")]
    Unkeepable {
        /// What stands against it.
        source: PublishError,
    },
    /// The broker or the network failed.
    #[error("the bus failed while it tried to {attempt}{}", About(about))]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do; empty where nobody said.
        about: Box<str>,
        /// What the back end said.
        source: BoxError,
    },
}

impl BusError {
    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Says of a failure of the back end what it was about, if that is not said yet.
    pub(super) fn about(mut self, what: impl FnOnce() -> String) -> Self {
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
}

/// A handler failed.
///
/// Made from any error with `?`. The message is tried again a few times and then kept among the dead letters;
/// [`HandlerError::permanent`] says that trying again cannot help.
pub struct HandlerError {
    cause: BoxError,
    error_type: Cow<'static, str>,
    permanent: bool,
}

impl HandlerError {
    /// A failure that has no error type of its own.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { cause: reason.into().into(), error_type: Cow::Borrowed("HandlerError"), permanent: false }
    }

    /// A failure that trying again cannot mend: the message goes to the dead letters at once.
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { permanent: true, ..self }
    }

    /// The handler panicked; what it said may hold anything, and stays out of the error.
    pub(super) fn panicked() -> Self {
        Self { cause: "the handler panicked".into(), error_type: Cow::Borrowed("panic"), permanent: false }
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    pub(super) fn cause(&self) -> &(dyn Error + 'static) {
        &*self.cause
    }

    pub(super) fn is_permanent(&self) -> bool {
        self.permanent
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { error_type: error_type(&error), cause: Box::new(error), permanent: false }
    }
}

/// The cause, for a function that fails with any error: the type itself is none, so that it can be made from each.
impl From<HandlerError> for BoxError {
    fn from(error: HandlerError) -> Self {
        error.cause
    }
}

impl From<HandlerError> for Box<dyn Error> {
    fn from(error: HandlerError) -> Self {
        error.cause
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

/// What it is called, and what it says: the `Debug` of its cause may quote more.
impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerError({}: {})", self.error_type, self.cause)
    }
}

/// A subscription does not run any more, or did not end in time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionStopped {
    /// Nothing more could be taken from the bus, or the bus panicked while it settled a message.
    #[error("the subscription of `{group}` stopped; mend the cause and subscribe again")]
    Failed {
        /// The group.
        group: String,
        /// What went wrong.
        source: BusError,
    },
    /// What had been taken was not done with when the deadline of the shut-down passed; it is delivered again where the
    /// bus keeps it.
    #[error(
        "the subscription of `{group}` left {left} messages when its time was up; a bus that keeps them delivers them again"
    )]
    Aborted {
        /// The group.
        group: String,
        /// How many were taken and not settled.
        left: u64,
    },
}
