//! What PostgreSQL says, without what it quotes.

use std::error::Error;
use std::io;

use tokio_postgres::error::{DbError, SqlState};

/// A message of the server, or about the connection to it.
///
/// What PostgreSQL quotes of rows is left out: its details, and in a message about a value that it cannot read,
/// everything from the first quotation mark on. So is everything about how the store connects except the fault itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PostgresError {
    message: Box<str>,
    code: Option<Box<str>>,
    fate: Fate,
    /// Whether it comes from a `RAISE`, which may give any code.
    is_raise: bool,
}

/// What is known of a statement that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was refused, and changed nothing.
    Refused,
    /// It was refused for want of room that will be free again, whatever its code says.
    Full,
    /// It was refused because it was prepared before what it reads had other columns: prepared anew it has those.
    Outdated,
    /// It was not even sent.
    NotSent,
    /// It was not even sent, since all connections were in use.
    NoneFree,
    /// It was sent, and nobody knows whether it was committed.
    Unknown,
}

/// The server's function that a `RAISE` runs.
const RAISE: &str = "exec_stmt_raise";

impl PostgresError {
    /// A fault that the store itself found.
    pub(super) fn new(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into(), code: None, fate: Fate::Refused, is_raise: false }
    }

    /// The error of a connection that could not be made.
    pub(super) fn not_sent(error: &tokio_postgres::Error) -> Self {
        Self { fate: Fate::NotSent, ..error.into() }
    }

    /// No connection was available.
    pub(super) fn unavailable(message: impl Into<Box<str>>) -> Self {
        Self { fate: Fate::NotSent, ..Self::new(message) }
    }

    /// No connection came back in time from those that are in use.
    pub(super) fn none_free(message: impl Into<Box<str>>) -> Self {
        Self { fate: Fate::NoneFree, ..Self::new(message) }
    }

    /// Whether all connections were in use, which says nothing about the server.
    pub(super) fn is_none_free(&self) -> bool {
        self.fate == Fate::NoneFree
    }

    /// The error of a repeated request whose first answer was lost; `advice` says what to do about it.
    pub(super) fn in_doubt(self, advice: &str) -> Self {
        Self { message: format!("{}; {advice}", self.message).into(), fate: Fate::Unknown, ..self }
    }

    /// What is reported of a statement that is not an append of the store's, but of a projection or of somebody's own
    /// client: without a code it was refused, unless the connection was lost.
    pub(super) fn of_statement(error: &tokio_postgres::Error) -> Self {
        let said = Self::from(error);
        if said.code.is_some() || is_lost(error) { said } else { Self { fate: Fate::Refused, ..said } }
    }

    /// What the store or the driver reported of a statement, if an error is that.
    pub(in crate::store) fn reported(error: &(dyn Error + 'static)) -> Option<Self> {
        let drivers = error.downcast_ref().map(Self::of_statement);
        drivers.or_else(|| error.downcast_ref::<Self>().cloned())
    }

    /// The SQLSTATE, if the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the statement may have been committed nevertheless.
    pub(in crate::store) fn is_in_doubt(&self) -> bool {
        self.fate == Fate::Unknown
    }

    /// Whether the statement would be refused again.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.fate, Fate::Refused | Fate::Full | Fate::Outdated)
    }

    /// Whether the statement has to be prepared anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.fate == Fate::Outdated
    }

    /// Whether it is about the input: values that are not stored, and rules and limits that they break, including those
    /// of the database's own functions.
    pub(super) fn is_final(&self) -> bool {
        const GIVEN: [&str; 4] = ["22", "23", "54", "P0"];
        let is_given = self.class().is_some_and(|class| GIVEN.contains(&class));
        is_given && !matches!(self.fate, Fate::Unknown | Fate::Full)
    }

    fn class(&self) -> Option<&str> {
        self.code.as_deref().and_then(|code| code.get(..2))
    }

    /// Whether it is the message of a function of the database's users or of an extension, in their own words.
    pub(super) fn is_raised(&self) -> bool {
        self.is_raise || self.code.as_deref().is_some_and(|code| code.starts_with("P0") || code == "XX000")
    }

    /// Whether the server takes no writes, as one that is being replaced or follows another.
    pub(super) fn is_read_only(&self) -> bool {
        self.code() == Some(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }

    /// Whether it is about the server, which is busy, full or gone, and not about what was asked of it.
    pub(in crate::store) fn is_trouble(&self) -> bool {
        !self.is_refusal() || self.is_busy()
    }

    /// Whether the server itself says so.
    pub(super) fn is_busy(&self) -> bool {
        const TROUBLE: [&str; 4] = ["40", "53", "57", "58"];
        // Class 25: a server that takes no writes, such as one being replaced, and one that ended a transaction for its
        // age; class 55: what another has locked; class XX: what is damaged. The others come with the statement, every
        // time: XX000 is used by extensions that name no code, about a value that they cannot read.
        const FOR_NOW: [&str; 7] = ["25006", "25P03", "25P04", "55006", "55P03", "XX001", "XX002"];
        self.fate == Fate::Full
            || self.class().is_some_and(|class| TROUBLE.contains(&class))
            || self.code.as_deref().is_some_and(|code| FOR_NOW.contains(&code))
    }
}

impl From<&tokio_postgres::Error> for PostgresError {
    fn from(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self {
                message: format!("{} (SQLSTATE {})", without_values(said), said.code().code()).into(),
                code: Some(said.code().code().into()),
                fate: fate(said.code(), said.file()),
                is_raise: said.routine() == Some(RAISE),
            },
            None => Self { fate: Fate::Unknown, ..Self::new(in_full(error)) },
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(&error)
    }
}

/// Whether an error without a code is about the connection. Those about a parameter, a column or a message may have
/// causes of the same type.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    const VALUES: [&str; 2] = ["error serializing", "error deserializing"];
    const MESSAGES: [io::ErrorKind; 2] = [io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData];
    let failed = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let said = error.to_string();
    error.is_closed()
        || failed.is_some_and(|failed| !MESSAGES.contains(&failed.kind()))
            && !VALUES.iter().any(|about| said.starts_with(about))
}

fn fate(code: &SqlState, file: Option<&str>) -> Fate {
    // At a commit a statement beyond some limit and a full queue of notifications have the same code.
    const NOTIFICATIONS: &str = "async.c";
    // What the server cannot do has one code; what it says is in its own language.
    const PREPARED: &str = "plancache.c";
    if ends_connection(code) {
        Fate::Unknown
    } else if *code == SqlState::PROGRAM_LIMIT_EXCEEDED && file == Some(NOTIFICATIONS) {
        Fate::Full
    } else if *code == SqlState::FEATURE_NOT_SUPPORTED && file == Some(PREPARED) {
        Fate::Outdated
    } else {
        Fate::Refused
    }
}

/// Shut down, crashed or starting: what was in flight may have been committed before.
fn ends_connection(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    class == "08" || class == "57" && *code != SqlState::QUERY_CANCELED
}

/// The server's message, without values: one about a value that cannot be read quotes it, whatever row it is from.
fn without_values(said: &DbError) -> String {
    const DATA_EXCEPTION: &str = "22";
    if !said.code().code().starts_with(DATA_EXCEPTION) {
        return said.message().to_owned();
    }
    unquoted(said.message())
}

/// A text up to the first quotation mark of the server's language, or of what it quotes. The server escapes none in a
/// value, so its end cannot be found. Apostrophes are letters in some languages, and quote in none.
fn unquoted(text: &str) -> String {
    const MARKS: [char; 16] = ['"', '`', '«', '»', '‹', '›', '“', '”', '„', '‟', '‚', '「', '」', '『', '』', '＂'];
    match text.split_once(MARKS) {
        Some((before, _)) => format!("{before}…"),
        None => text.to_owned(),
    }
}

/// The error and its causes. None of them contains a password.
fn in_full(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AppendError, ExpectedVersion, StoreError, StreamId, is_trouble};

    #[test]
    fn what_is_quoted_is_left_out() {
        assert_eq!(
            unquoted(r#"invalid input syntax for type integer: "4711""#),
            "invalid input syntax for type integer: …"
        );
        assert_eq!(unquoted(r#"value "a" is no "b""#), "value …");
        assert_eq!(unquoted(r#"no json: "{"email":"ada@x.org"}""#), "no json: …");
        assert_eq!(unquoted("division by zero"), "division by zero");
        assert_eq!(unquoted(r#"unbalanced: "a"#), "unbalanced: …");
        assert_eq!(unquoted(r#"no text: "a"b""#), "no text: …");
        assert_eq!(unquoted("ungültige Eingabesyntax: »geheim«"), "ungültige Eingabesyntax: …");
        assert_eq!(unquoted("syntaxe invalide pour l'entier : « secret »"), "syntaxe invalide pour l'entier : …");
        assert_eq!(unquoted("nieprawidłowa składnia: „tajne”"), "nieprawidłowa składnia: …");
    }

    /// Its text was kept where others read it, as that of the server's own checks is.
    #[test]
    fn a_raise_is_told_whatever_its_code() {
        let check = PostgresError { code: Some("23514".into()), ..PostgresError::new("it says no") };
        assert!(!check.is_raised() && check.is_final());
        let raise = PostgresError { is_raise: true, ..check };
        assert!(raise.is_raised() && raise.is_final());
    }

    #[test]
    fn trouble_is_the_servers_and_not_the_statements() {
        let coded = |code: &str| PostgresError { code: Some(code.into()), ..PostgresError::new("it says no") };
        for code in ["25006", "25P03", "25P04", "40P01", "53100", "55006", "55P03", "57014", "58030"] {
            assert!(coded(code).is_trouble(), "{code}");
        }
        for code in ["22P02", "23505", "25P02", "42P01", "55000", "P0001"] {
            assert!(!coded(code).is_trouble(), "{code}");
        }
        assert!(PostgresError::unavailable("nobody is there").is_trouble());
        for code in ["22021", "23514", "54000", "P0001"] {
            assert!(coded(code).is_final(), "{code}");
        }
        // Not the event's fault, but that of whoever set the database up, who can mend it.
        for code in ["42501", "42P01", "25006", "53100", "40P01"] {
            assert!(!coded(code).is_final(), "{code}");
        }
    }

    /// It said that the events may have been stored.
    #[test]
    fn an_append_that_the_server_refuses_says_that_nothing_was_stored_and_what_helps() {
        let told = |error: PostgresError| {
            let failed = AppendError::Store(StoreError::backend("append events", error));
            failed.to(&StreamId::new("Order", 42), ExpectedVersion::Any).to_string()
        };
        let coded = |code: &str| PostgresError { code: Some(code.into()), ..PostgresError::new("it says no") };
        for (code, helps) in [
            ("25006", "takes no writes"),
            ("28000", "an account"),
            ("42501", "grant the store's role"),
            ("53100", "make room"),
            ("53300", "`max_connections`"),
            ("55P03", "try again"),
        ] {
            let said = told(coded(code));
            assert!(said.contains("nothing was stored: ") && said.contains(helps), "{said}");
        }
        assert!(told(PostgresError::unavailable("nobody is there")).contains("nothing was stored: try again"));
        let said = told(coded("25006").in_doubt("who knows"));
        assert!(said.contains("it may have been made: ") && !said.contains("nothing was stored"), "{said}");
    }

    #[test]
    fn trouble_is_found_behind_a_store_that_refuses() {
        let full = StoreError::refused("append events", PostgresError::none_free("all are in use"));
        let unfit = StoreError::refused("append events", PostgresError::new("no such parameter"));
        assert!(is_trouble(&full) && !is_trouble(&unfit));
    }

    /// It was taken for a fault of the events, which nothing but other events would mend.
    #[test]
    fn a_full_queue_of_notifications_is_trouble_and_no_fault_of_what_was_given() {
        let code = SqlState::PROGRAM_LIMIT_EXCEEDED;
        let with = |file| PostgresError {
            code: Some(code.code().into()),
            fate: fate(&code, Some(file)),
            ..PostgresError::new("too many notifications in the NOTIFY queue")
        };
        let (full, large) = (with("async.c"), with("nbtutils.c"));
        assert!(full.is_trouble() && full.is_refusal() && !full.is_final() && !full.is_in_doubt());
        assert!(!large.is_trouble() && large.is_final());
    }

    #[test]
    fn a_statement_that_has_to_be_prepared_anew_is_known_by_where_the_server_says_so() {
        let fate = |file| fate(&SqlState::FEATURE_NOT_SUPPORTED, Some(file));
        assert_eq!((fate("plancache.c"), fate("parse_clause.c")), (Fate::Outdated, Fate::Refused));
    }
}
