//! What PostgreSQL says, without what it quotes.

use tokio_postgres::error::SqlState;

/// What the server or the connection to it said.
///
/// Details, in which PostgreSQL quotes the values of rows, are left out, and so is everything about how the store
/// connects but the fault itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PostgresError {
    message: Box<str>,
    code: Option<Box<str>>,
    fate: Fate,
}

/// What is known of a statement that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was refused, and changed nothing.
    Refused,
    /// It was not even sent.
    NotSent,
    /// It was sent, and nobody knows whether it was committed.
    Unknown,
}

impl PostgresError {
    /// A fault that the store found itself.
    pub(super) fn new(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into(), code: None, fate: Fate::Refused }
    }

    /// The fault of a connection that was not made.
    pub(super) fn not_sent(error: &tokio_postgres::Error) -> Self {
        Self { fate: Fate::NotSent, ..error.into() }
    }

    /// No connection could be had.
    pub(super) fn unavailable(message: impl Into<Box<str>>) -> Self {
        Self { fate: Fate::NotSent, ..Self::new(message) }
    }

    /// The SQLSTATE, if the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the statement may have been committed all the same.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.fate == Fate::Unknown
    }

    /// Whether the statement would be refused again.
    pub(super) fn is_refusal(&self) -> bool {
        self.fate == Fate::Refused
    }
}

impl From<&tokio_postgres::Error> for PostgresError {
    fn from(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self {
                message: format!("{} (SQLSTATE {})", said.message(), said.code().code()).into(),
                code: Some(said.code().code().into()),
                fate: if ends_connection(said.code()) { Fate::Unknown } else { Fate::Refused },
            },
            None => Self { message: in_full(error).into(), code: None, fate: Fate::Unknown },
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(&error)
    }
}

/// Shut down, crashed or starting: whatever was under way may have been committed before.
fn ends_connection(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    class == "08" || class == "57" && *code != SqlState::QUERY_CANCELED
}

/// The error and its causes. None of them knows a password.
fn in_full(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
