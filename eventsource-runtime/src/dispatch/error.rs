//! Why a command failed.

use std::borrow::Cow;
use std::error::Error;

use crate::domain::json::fault;
use crate::error::{BoxError, error_type};
use crate::store::{AppendError, Conflict, StoreError, is_trouble};

/// Why a command failed; `E` is the error of its aggregate. If a store failed, the [`StoreError`] says so in its words,
/// and is its source.
// That `E` is an error is asked of the aggregate alone: a bound here would ask it of each call of the bus again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError<E> {
    /// The aggregate refused it: a decision of the domain, not a fault.
    #[error(transparent)]
    Rejected(E),
    /// The handler failed, before it could decide: its error is what the aggregate calls a fault
    /// ([`Aggregate::is_fault`](crate::Aggregate::is_fault)). Dispatched again, the command is decided again.
    #[error(transparent)]
    Failed(E),
    /// The bus has no repository for the command's aggregate.
    #[error("No handler for {command}; give the bus its aggregate's repository with `.aggregate(..)`")]
    #[non_exhaustive]
    NoHandler {
        /// The command's name.
        command: &'static str,
    },
    /// The aggregate could not be loaded.
    #[error("{0}")]
    Load(#[from] StoreError),
    /// The events could not be appended, for example on a conflict whose retries are exhausted.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl<E: Error + 'static> DispatchError<E> {
    /// Whether it cannot help to dispatch the command again with the same context: no store in trouble is behind the
    /// error, the handler did not fail, and no other writers were faster, who may be gone by then. Nor can it help if
    /// the context names a version that the aggregate is not at ([`DispatchError::is_outdated`]). A rejection is
    /// permanent in that it lasts until the aggregate has changed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            // It passes for the aggregate's own error, which is not its source.
            Self::Rejected(refusal) => !is_trouble(refusal),
            Self::Failed(_) => false,
            failed => failed.conflict().is_none_or(Conflict::is_outdated) && !is_trouble(failed),
        }
    }

    /// A short, stable name for telemetry: the variant of the handler's error, or the kind of fault.
    #[must_use]
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected(error) | Self::Failed(error) => error_type(error),
            Self::NoHandler { .. } => Cow::Borrowed("no_handler"),
            Self::Load(error) => Cow::Borrowed(error.error_type()),
            Self::Append(error) => Cow::Borrowed(error.error_type()),
        }
    }

    /// Whether the domain refused the command.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// Whether the aggregate is not at the version that the command's context names
    /// ([`Context::expected_version`](super::Context::expected_version)): the failed precondition of an `If-Match`.
    /// Whoever sent the command looks at the aggregate again, and sends another.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.conflict().is_some_and(Conflict::is_outdated)
    }

    /// The conflict with another writer of the aggregate: retries are exhausted, or the command
    /// [is outdated](Self::is_outdated).
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Append(error) => error.conflict(),
            _ => None,
        }
    }
}

/// What is wrong with a payload, and where. It quotes none of the payload's values, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
#[non_exhaustive]
pub struct PayloadFault {
    what: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes: that of the last byte that was read, from 1; 0 if none of the line was.
    pub column: usize,
}

impl PayloadFault {
    pub(super) fn new(error: &serde_json::Error) -> Self {
        Self { what: fault(error), line: error.line(), column: error.column() }
    }
}

/// Why a command received as JSON failed, or any command ([`DispatchJsonError::from_typed`]). If a store failed, the
/// [`StoreError`] says so in its words, and is its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchJsonError {
    /// Two command types have this name: neither is run, since it is unclear which was meant.
    #[error("`{command}` is the name of both `{}` and `{}`; give one of them another with `name`", types[0], types[1])]
    #[non_exhaustive]
    AmbiguousCommand {
        /// The commands' name.
        command: &'static str,
        /// The Rust types.
        types: [&'static str; 2],
    },
    /// No handled command has this name.
    #[error("No handler for {command}; give the bus its aggregate's repository with `.aggregate(..)`")]
    #[non_exhaustive]
    UnknownCommand {
        /// The received name, truncated to 64 characters.
        command: String,
    },
    /// The payload is longer than [`MAX_JSON`](super::MAX_JSON).
    #[error("a payload of {size} bytes for `{command}` is longer than {limit}; send less in it", limit = super::MAX_JSON)]
    #[non_exhaustive]
    TooLarge {
        /// The command's name.
        command: &'static str,
        /// The payload's length in bytes.
        size: usize,
    },
    /// The payload is not what the command expects.
    #[error("the payload does not fit `{command}`; correct it where the source of this error says")]
    #[non_exhaustive]
    BadPayload {
        /// The command's name.
        command: &'static str,
        /// What is wrong with it, and where.
        source: PayloadFault,
    },
    /// The aggregate refused it.
    #[error("`{command}` was rejected")]
    #[non_exhaustive]
    Rejected {
        /// The command's name.
        command: &'static str,
        /// The refusal's variant.
        error_type: Cow<'static, str>,
        /// The refusal.
        source: BoxError,
    },
    /// The handler failed, before it could decide.
    #[error("`{command}` failed")]
    #[non_exhaustive]
    Failed {
        /// The command's name.
        command: &'static str,
        /// The error's variant.
        error_type: Cow<'static, str>,
        /// What the handler returned.
        source: BoxError,
    },
    /// The aggregate could not be loaded.
    #[error("{0}")]
    Load(#[source] StoreError),
    /// The events could not be appended.
    #[error(transparent)]
    Append(AppendError),
}

impl DispatchJsonError {
    /// Whether it cannot help to dispatch the command again: see [`DispatchError::is_permanent`].
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        let may_help = matches!(self, Self::Failed { .. }) || is_trouble(self);
        self.conflict().is_none_or(Conflict::is_outdated) && !may_help
    }

    /// A short, stable name for telemetry: the variant of the handler's error, or the kind of fault.
    #[must_use]
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::AmbiguousCommand { .. } => Cow::Borrowed("ambiguous"),
            Self::UnknownCommand { .. } => Cow::Borrowed("no_handler"),
            Self::TooLarge { .. } => Cow::Borrowed("too_large"),
            Self::BadPayload { .. } => Cow::Borrowed("bad_payload"),
            Self::Rejected { error_type, .. } | Self::Failed { error_type, .. } => error_type.clone(),
            Self::Load(error) => Cow::Borrowed(error.error_type()),
            Self::Append(error) => Cow::Borrowed(error.error_type()),
        }
    }

    /// Whether the domain refused the command.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }

    /// Whether the aggregate is not at the version that the command's context names: see
    /// [`DispatchError::is_outdated`].
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.conflict().is_some_and(Conflict::is_outdated)
    }

    /// The conflict with another writer of the aggregate: retries are exhausted, or the command
    /// [is outdated](Self::is_outdated).
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Append(error) => error.conflict(),
            _ => None,
        }
    }

    /// The error of a command that was dispatched by its type, so that one type stands for those of all aggregates;
    /// `command` is the command's name, [`Command::NAME`](crate::Command::NAME).
    ///
    /// ```
    /// # use eventsource_runtime::dispatch::{DispatchError, DispatchJsonError};
    /// # #[derive(Debug, thiserror::Error)]
    /// # #[error("that is too much")]
    /// # struct TooMuch;
    /// fn status(error: &DispatchJsonError) -> u16 {
    ///     use DispatchJsonError::{BadPayload, TooLarge, UnknownCommand};
    ///     match error {
    ///         BadPayload { .. } | TooLarge { .. } | UnknownCommand { .. } => 400, // only of `dispatch_json`
    ///         error if error.is_rejected() => 422,
    ///         error if error.is_outdated() => 412,
    ///         error if error.conflict().is_some() => 409,
    ///         error if error.is_permanent() => 500,
    ///         _ => 503,
    ///     }
    /// }
    /// let refused = DispatchError::Rejected(TooMuch); // of `commands.dispatch(deposit).await`
    /// assert_eq!(status(&DispatchJsonError::from_typed("Deposit", refused)), 422);
    /// ```
    #[must_use]
    pub fn from_typed<E: Error + Send + Sync + 'static>(command: &'static str, error: DispatchError<E>) -> Self {
        let error_type = error.error_type();
        match error {
            DispatchError::Rejected(refusal) => Self::Rejected { command, error_type, source: Box::new(refusal) },
            DispatchError::Failed(fault) => Self::Failed { command, error_type, source: Box::new(fault) },
            DispatchError::NoHandler { command } => Self::UnknownCommand { command: command.to_owned() },
            DispatchError::Load(error) => Self::Load(error),
            DispatchError::Append(error) => Self::Append(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::dispatch::{ExecuteJsonError, QueryError};
    use crate::store::{ExpectedVersion, StreamId, Version};

    fn fault(json: &str) -> String {
        #[derive(Debug, serde::Deserialize)]
        struct Order {
            #[expect(dead_code, reason = "only ever refused")]
            customer: u8,
            #[expect(dead_code, reason = "only ever refused")]
            kind: Option<Kind>,
        }
        #[derive(Debug, serde::Deserialize)]
        enum Kind {
            Gift,
            Order,
        }
        let error = serde_json::from_str::<Order>(json).expect_err("the payload does not fit");
        PayloadFault::new(&error).to_string()
    }

    #[test]
    fn a_fault_tells_the_place_and_no_value() {
        assert_eq!(fault("{}"), "missing field `customer` at line 1, column 2");
        assert_eq!(fault("{"), "EOF while parsing an object at line 1, column 1");
        assert_eq!(fault("{\"customer\":x}"), "expected value at line 1, column 13");
        let value = fault("{\n\"customer\":\"secret, expected it\"}");
        assert_eq!(value, "invalid type, expected u8 at line 2, column 32");
        assert_eq!(fault("{\"customer\":1,\"customer\":1}"), "duplicate field at line 1, column 24");
        assert_eq!(fault("{\"kind\":\"secret\"}"), "unknown variant, expected `Gift` or `Order` at line 1, column 16");
    }

    #[test]
    fn what_no_handler_takes_is_told_alike_by_type_and_by_name() {
        let typed = DispatchError::<Infallible>::NoHandler { command: "Deposit" }.to_string();
        assert!(typed.contains("`.aggregate(..)`"), "{typed}");
        assert_eq!(DispatchJsonError::UnknownCommand { command: "Deposit".to_owned() }.to_string(), typed);
        let typed = QueryError::<Infallible>::NoHandler { query: "Balance" }.to_string();
        assert!(typed.contains("`.handler(..)`"), "{typed}");
        assert_eq!(ExecuteJsonError::UnknownQuery { query: "Balance".to_owned() }.to_string(), typed);
    }

    #[test]
    fn a_retry_may_help_if_a_store_is_in_trouble_or_another_writer_was_first() {
        let stream = || StreamId::new("Order", 1);
        let lost = || Conflict::new(stream(), ExpectedVersion::NoStream, Version::new(1));
        let conflict = |named: Option<ExpectedVersion>| move || AppendError::from(lost().with_context(named));
        let (faster, outdated) = (conflict(None), conflict(Some(ExpectedVersion::NoStream)));
        // The aggregate may still be where the context says, whoever was faster.
        let (any, exists) = (conflict(Some(ExpectedVersion::Any)), conflict(Some(ExpectedVersion::Exists)));
        let append: [(&dyn Fn() -> AppendError, bool); 8] = [
            (&|| StoreError::backend("append events", "nobody is there").into(), false),
            (&|| StoreError::Closed.into(), false),
            (&faster, false),
            (&any, false),
            (&exists, false),
            (&outdated, true),
            (&|| StoreError::refused("append events", "it is too long").into(), true),
            (&|| AppendError::mismatch(stream(), uuid::Uuid::nil()), true),
        ];
        for (error, permanent) in append {
            assert_eq!(error().is_permanent(), permanent);
            assert_eq!(DispatchError::<Infallible>::Append(error()).is_permanent(), permanent);
            assert_eq!(DispatchJsonError::Append(error()).is_permanent(), permanent);
        }
        for error in [faster(), exists()] {
            assert!(!DispatchError::<Infallible>::Append(error).is_outdated());
        }
        assert!(DispatchError::<Infallible>::Append(outdated()).is_outdated());
        assert!(DispatchJsonError::Append(outdated()).is_outdated());
        assert!(DispatchError::<Infallible>::NoHandler { command: "Deposit" }.is_permanent());
        let read = |error: StoreError| QueryError::<StoreError>::Rejected(error).is_permanent();
        assert!(!read(StoreError::Closed) && read(StoreError::refused("run a query", "no such table")));
        let failed = QueryError::Failed {
            query: "Balance",
            error_type: Cow::Borrowed("closed"),
            source: Box::new(StoreError::Closed),
        };
        assert!(!failed.is_permanent());
        assert!(!ExecuteJsonError::from_typed::<Infallible>("Balance", failed).is_permanent());
    }
}
