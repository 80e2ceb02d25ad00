//! Why a query failed.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;

use super::error::PayloadFault;
use crate::error::{BoxError, error_type};
use crate::store::is_trouble;

/// Why a query failed; `E` is the error that the query declares.
// Unbound, as that of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError<E = Infallible> {
    /// The read side refused, with the error that the query declares.
    #[error(transparent)]
    Rejected(E),
    /// The bus has no handler for the query.
    #[error("No handler for {query}; give the bus its handler with `.handler(..)`")]
    #[non_exhaustive]
    NoHandler {
        /// The query's name.
        query: &'static str,
    },
    /// The handler failed with an error that the query does not declare. Its text names the query alone; what the
    /// handler returned is its source.
    #[error("`{query}` failed")]
    #[non_exhaustive]
    Failed {
        /// The query's name.
        query: &'static str,
        /// A short, stable name of the failure.
        error_type: Cow<'static, str>,
        /// What the handler returned.
        source: BoxError,
    },
}

impl<E: Error + 'static> QueryError<E> {
    /// Whether it cannot help to execute the query again, as far as the runtime knows: no store in trouble is behind the
    /// error.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            // It passes for the query's own error, which is not its source.
            Self::Rejected(refusal) => !is_trouble(refusal),
            failed => !is_trouble(failed),
        }
    }

    /// A short, stable name for telemetry: the variant of the query's own error, or the kind of failure.
    #[must_use]
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected(refusal) => error_type(refusal),
            Self::NoHandler { .. } => Cow::Borrowed("no_handler"),
            Self::Failed { error_type, .. } => error_type.clone(),
        }
    }

    /// Whether the read side refused the query, with the error that the query declares.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }
}

/// Why a query received as JSON failed, or any query ([`ExecuteJsonError::from_typed`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteJsonError {
    /// Two query types have this name: neither is run, since it is unclear which was meant.
    #[error("`{query}` is the name of both `{}` and `{}`; give one of them another with `name`", types[0], types[1])]
    #[non_exhaustive]
    AmbiguousQuery {
        /// The queries' name.
        query: &'static str,
        /// The Rust types.
        types: [&'static str; 2],
    },
    /// No handled query has this name.
    #[error("No handler for {query}; give the bus its handler with `.handler(..)`")]
    #[non_exhaustive]
    UnknownQuery {
        /// The received name, truncated to 64 characters.
        query: String,
    },
    /// The payload is longer than [`MAX_JSON`](super::MAX_JSON).
    #[error("a payload of {size} bytes for `{query}` is longer than {limit}; send less in it", limit = super::MAX_JSON)]
    #[non_exhaustive]
    TooLarge {
        /// The query's name.
        query: &'static str,
        /// The payload's length in bytes.
        size: usize,
    },
    /// The payload is not what the query expects.
    #[error("the payload does not fit `{query}`; correct it where the source of this error says")]
    #[non_exhaustive]
    BadPayload {
        /// The query's name.
        query: &'static str,
        /// What is wrong with it, and where.
        source: PayloadFault,
    },
    /// The output does not implement `Serialize`, or its `Serialize` failed, or it has an integer beyond 64 bits, which a
    /// [`serde_json::Value`] cannot hold.
    #[error("the answer to `{query}` cannot be written as JSON; {}", to_write(source.as_ref()))]
    #[non_exhaustive]
    Answer {
        /// The query's name.
        query: &'static str,
        /// Why it was not written, if `Serialize` is implemented.
        source: Option<serde_json::Error>,
    },
    /// The read side refused, with the error that the query declares.
    #[error("`{query}` was rejected")]
    #[non_exhaustive]
    Rejected {
        /// The query's name.
        query: &'static str,
        /// The refusal's variant.
        error_type: Cow<'static, str>,
        /// The refusal.
        source: BoxError,
    },
    /// The handler failed with an error that the query does not declare.
    #[error("`{query}` failed")]
    #[non_exhaustive]
    Failed {
        /// The query's name.
        query: &'static str,
        /// A short, stable name of the failure.
        error_type: Cow<'static, str>,
        /// What the handler returned.
        source: BoxError,
    },
}

fn to_write(fault: Option<&serde_json::Error>) -> &'static str {
    match fault {
        Some(_) => "mend the `Serialize` of its output; integers beyond 64 bits are written as text",
        None => "derive `Serialize` for its output",
    }
}

impl ExecuteJsonError {
    /// Whether it cannot help to execute the query again, as far as the runtime knows: see [`QueryError::is_permanent`].
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !is_trouble(self)
    }

    /// A short, stable name for telemetry: the name of the query's own error, or the kind of fault.
    #[must_use]
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::AmbiguousQuery { .. } => Cow::Borrowed("ambiguous"),
            Self::UnknownQuery { .. } => Cow::Borrowed("no_handler"),
            Self::TooLarge { .. } => Cow::Borrowed("too_large"),
            Self::BadPayload { .. } => Cow::Borrowed("bad_payload"),
            Self::Answer { .. } => Cow::Borrowed("answer"),
            Self::Rejected { error_type, .. } | Self::Failed { error_type, .. } => error_type.clone(),
        }
    }

    /// Whether the read side refused the query, with the error that the query declares.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }

    /// The error of a query that was executed by its type, so that one type stands for those of all queries; `query` is
    /// the query's name, [`Query::NAME`](crate::Query::NAME).
    #[must_use]
    pub fn from_typed<E: Error + Send + Sync + 'static>(query: &'static str, error: QueryError<E>) -> Self {
        let error_type = error.error_type();
        match error {
            QueryError::Rejected(refusal) => Self::Rejected { query, error_type, source: Box::new(refusal) },
            QueryError::NoHandler { query } => Self::UnknownQuery { query: query.to_owned() },
            QueryError::Failed { query, error_type, source } => Self::Failed { query, error_type, source },
        }
    }
}
