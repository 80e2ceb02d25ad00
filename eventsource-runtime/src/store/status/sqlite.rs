//! The extended result code of SQLite, and its troubles.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::error_type;
use crate::store::sqlite;

pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    Some(said(error)?.sqlite_error()?.extended_code.to_string())
}

pub(super) fn name(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    said(error).map(error_type)
}

pub(super) fn is_trouble(error: &(dyn Error + 'static)) -> bool {
    said(error).is_some_and(sqlite::is_trouble)
}

/// What comes before anything is committed. After a disk that failed nobody knows what it has.
const UNDONE: [ErrorCode; 8] = [
    ErrorCode::CannotOpen,
    ErrorCode::DatabaseBusy,
    ErrorCode::DatabaseCorrupt,
    ErrorCode::DatabaseLocked,
    ErrorCode::DiskFull,
    ErrorCode::NotADatabase,
    ErrorCode::PermissionDenied,
    ErrorCode::ReadOnly,
];

pub(super) fn is_undone(error: &(dyn Error + 'static)) -> bool {
    said(error).and_then(rusqlite::Error::sqlite_error_code).is_some_and(|code| UNDONE.contains(&code))
}

pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let error = said(error)?;
    match error.sqlite_error_code()? {
        ErrorCode::ReadOnly if error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_READONLY_DBMOVED) => {
            Some("the file was moved or deleted: stop every process that has it open, then open the right one")
        }
        ErrorCode::DiskFull => Some("make room on the disk"),
        ErrorCode::ReadOnly => Some("see who may write the file and its folder"),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Some("see who may open the file and its folder"),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            Some("stop every process that has the file open, and restore it from a backup")
        }
        _ => None,
    }
}

fn said<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rusqlite::Error> {
    // Appends in one transaction share its failure.
    let shared = error.downcast_ref::<Arc<rusqlite::Error>>().map(|error| &**error);
    shared.or_else(|| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::{AppendError, StoreError, status_code, wrong_statement};

    #[test]
    fn the_code_is_found_behind_what_wraps_it() {
        let refused = || Connection::open_in_memory().unwrap().execute_batch("SELECT * FROM nowhere").unwrap_err();
        let error = StoreError::backend("read", refused());
        assert_eq!(status_code(&error).as_deref(), Some("1"));
        let error: AppendError = StoreError::backend("append", Arc::new(refused())).into();
        assert_eq!(status_code(&error).as_deref(), Some("1"));
        assert_eq!(status_code(&StoreError::Closed), None);
    }

    #[test]
    fn a_statement_is_told_from_what_its_parameters_violate() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY); INSERT INTO rows VALUES (1)").unwrap();
        let failed = |sql| StoreError::backend("write", connection.execute(sql, []).unwrap_err());
        assert_eq!(wrong_statement(&failed("INSERT INTO rows (name) VALUES (1)")).as_deref(), Some("1"));
        assert_eq!(wrong_statement(&failed("INSERT INTO nowhere VALUES (1)")).as_deref(), Some("1"));
        assert_eq!(wrong_statement(&failed("INSERT INTO rows VALUES (1)")), None);
    }
}
