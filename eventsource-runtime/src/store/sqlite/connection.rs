//! Connections: how they are set up, and how transactions begin and end.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::log;
use super::options::{SqliteOptions, Synchronous};
use super::{moved, turns};
use crate::error::BoxError;
use crate::store::StoreError;

/// How many times to try a transaction that cannot begin, each time for as long as the busy timeout.
const ATTEMPTS: u32 = 6;
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;

/// What is attempted, for errors.
pub(super) const OPEN: &str = "open the database";

thread_local! {
    /// How many transactions have ended on this thread, which is that of one writer.
    static ENDED: Cell<u64> = const { Cell::new(0) };
    /// Whether the steps of a batch run on this thread, and whether one of them has tried to commit.
    static STEPS: Cell<Steps> = const { Cell::new(Steps { run: false, commit: false }) };
}

#[derive(Clone, Copy)]
struct Steps {
    run: bool,
    commit: bool,
}

/// While it lives, nothing is committed on this thread. What the user's steps do after `SQLite` has undone their
/// transaction, or they have ended it, would otherwise be kept without the rest, once for each attempt.
pub(super) struct Uncommitted(());

impl Uncommitted {
    pub(super) fn begin() -> Self {
        STEPS.set(Steps { run: true, commit: false });
        Self(())
    }
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        STEPS.set(Steps { run: false, ..STEPS.get() });
    }
}

/// Whether a commit was refused since [`Uncommitted`] last began.
pub(super) fn has_tried_to_commit() -> bool {
    STEPS.get().commit
}

/// How many writing transactions have ended on this thread: the open one may not be the one that was begun.
pub(super) fn ended() -> u64 {
    ENDED.get()
}

fn watch_ends(connection: &mut Connection) -> rusqlite::Result<()> {
    let count = || ENDED.set(ENDED.get() + 1);
    connection.rollback_hook(Some(count))?;
    connection.commit_hook(Some(move || {
        count();
        let steps = STEPS.get();
        STEPS.set(Steps { commit: steps.commit || steps.run, ..steps });
        // Whether it becomes a rollback.
        steps.run
    }))
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

pub(super) fn open(path: &Path, options: &SqliteOptions, role: Role) -> Result<Connection, StoreError> {
    let failed = |error| StoreError::backend(OPEN, error);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if role == Role::Writer {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let mut connection = Connection::open_with_flags(literal(path), flags).map_err(failed)?;
    turns::wait_for_others(&mut connection, options.busy_timeout).map_err(failed)?;
    if role == Role::Writer {
        watch_ends(&mut connection).map_err(failed)?;
    }
    set_up(&connection, options, role).map_err(|error| StoreError::backend(OPEN, located(&connection, error)))?;
    Ok(connection)
}

/// Says in which file something is wrong, as `SQLite` does of one that it cannot open.
pub(super) fn located(connection: &Connection, error: impl Into<BoxError>) -> BoxError {
    let path = connection.path().unwrap_or_default();
    match error.into().downcast() {
        Ok(error) => match *error {
            rusqlite::Error::SqliteFailure(code, said) => {
                let said = said.unwrap_or_else(|| code.to_string());
                rusqlite::Error::SqliteFailure(code, Some(format!("{said}: {path}"))).into()
            }
            other => other.into(),
        },
        Err(other) => other,
    }
}

/// The file that the connection opened under the given name. `SQLite` reports where it is: behind links, and in what
/// was the working directory then. It does not for names that are not text, nor for an in-memory database.
pub(super) fn file<'a>(connection: &'a Connection, given: &'a Path) -> &'a Path {
    connection.path().filter(|path| !path.is_empty()).map_or(given, Path::new)
}

/// The path as SQLite takes it: it reads what begins with `file:` as a URI, whatever the flags are.
pub(super) fn literal(path: &Path) -> Cow<'_, Path> {
    if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        Path::new(".").join(path).into()
    } else {
        path.into()
    }
}

fn set_up(connection: &Connection, options: &SqliteOptions, role: Role) -> Result<(), BoxError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on bound values. If they may, for which a `WHERE` or a `LIMIT` with a parameter is enough,
    // the statement is prepared again on each run, since it is cached without its values: more work than a short load.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let cache = -i64::from(options.cache_kib.min(i32::MAX as u32));
    connection.pragma_update(None, "cache_size", cache)?;
    // So that `REPLACE` fires the trigger that forbids deleting events.
    connection.pragma_update(None, "recursive_triggers", true)?;
    match role {
        Role::Reader => connection.pragma_update(None, "query_only", true)?,
        Role::Writer => {
            write_ahead(connection, options.busy_timeout * ATTEMPTS)?;
            connection.pragma_update(None, "journal_size_limit", log::LIMIT)?;
            match options.synchronous {
                Synchronous::Normal => connection.pragma_update(None, "synchronous", "NORMAL")?,
                Synchronous::Full => {
                    connection.pragma_update(None, "synchronous", "FULL")?;
                    // For disks that need to be told twice; elsewhere it has no effect.
                    connection.pragma_update(None, "fullfsync", true)?;
                }
            }
        }
    }
    Ok(())
}

/// Switches to the write-ahead log. `SQLite` does not wait for others that open the file at the same time, so we do.
fn write_ahead(connection: &Connection, patience: Duration) -> Result<(), BoxError> {
    let begun = Instant::now();
    loop {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Err(error) if is_busy(&error) && begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
            // An in-memory database has no log, and needs none: it has one connection.
            Ok(mode) if mode == "wal" || mode == "memory" => return Ok(()),
            Ok(_) => return Err("it cannot have a write-ahead log there; choose a file on a local disk".into()),
        }
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Begins a writing transaction. It takes the lock at once: one that began by reading would fail without waiting. It is
/// refused where what it writes would be lost.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    moved::check()?;
    let mut attempt = 1;
    loop {
        match run(connection, "BEGIN IMMEDIATE") {
            Err(error) if is_busy(&error) && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

/// Commits, or undoes everything and returns why.
pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "COMMIT").inspect_err(|_| rollback(connection))
}

/// Undoes what is not committed; does nothing if there is no transaction.
pub(super) fn rollback(connection: &Connection) {
    if !connection.is_autocommit() {
        // It fails only if SQLite has undone the transaction itself.
        let _ = run(connection, "ROLLBACK");
    }
}

/// While it lives, a setting of a connection has another value.
pub(super) struct Setting<'a> {
    connection: &'a Connection,
    name: &'static str,
    usual: i64,
}

impl<'a> Setting<'a> {
    pub(super) fn new(connection: &'a Connection, name: &'static str, value: i64) -> rusqlite::Result<Self> {
        let usual = connection.pragma_query_value(None, name, |row| row.get(0))?;
        // Not as a cached prepared statement: some take effect while they are prepared.
        connection.pragma_update(None, name, value)?;
        Ok(Self { connection, name, usual })
    }

    /// Lets commits return before the disk has them; the next one that waits carries theirs along.
    pub(super) fn unsynced(connection: &'a Connection) -> rusqlite::Result<Self> {
        const NORMAL: i64 = 1;
        Self::new(connection, "synchronous", NORMAL)
    }
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        // It cannot fail if the change before it did not.
        let _ = self.connection.pragma_update(None, self.name, self.usual);
    }
}

/// Runs a statement without parameters or rows.
pub(super) fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(drop)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_setting_is_afterwards_as_before() {
        let connection = Connection::open_in_memory().unwrap();
        let synchronous = || -> i64 { connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap() };
        for usual in [1, 2] {
            connection.pragma_update(None, "synchronous", usual).unwrap();
            let unsynced = Setting::unsynced(&connection).unwrap();
            assert_eq!(synchronous(), 1);
            drop(unsynced);
            assert_eq!(synchronous(), usual);
        }
    }

    #[test]
    fn a_connection_keeps_as_much_of_the_file_as_was_chosen() {
        let connection = Connection::open_in_memory().unwrap();
        // SQLite counts pages, and kibibytes below zero.
        for (chosen, kept) in [(None, -16 * 1024), (Some(512), -512), (Some(u32::MAX), -i64::from(i32::MAX))] {
            let options = SqliteOptions::default();
            let options = chosen.into_iter().fold(options, SqliteOptions::cache_kib);
            set_up(&connection, &options, Role::Reader).unwrap();
            let cache: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0)).unwrap();
            assert_eq!(cache, kept);
        }
    }

    #[test]
    fn a_path_is_no_uri() {
        for path in ["orders.db", "/a/orders.db", "a/file:orders.db", ":memory:", "files"] {
            assert_eq!(literal(Path::new(path)), Path::new(path));
        }
        assert_eq!(literal(Path::new("file:orders.db?mode=memory")), Path::new("./file:orders.db?mode=memory"));
        assert_eq!(literal(Path::new("file::memory:")), Path::new("./file::memory:"));
    }

    /// It was, at each run.
    #[test]
    fn a_statement_that_is_kept_is_not_prepared_again() {
        let connection = Connection::open_in_memory().unwrap();
        set_up(&connection, &SqliteOptions::default(), Role::Writer).unwrap();
        connection
            .execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY); INSERT INTO rows VALUES (1), (2)")
            .unwrap();
        for sql in ["SELECT id FROM rows WHERE id >= ?1", "SELECT id FROM rows ORDER BY id LIMIT ?1"] {
            let kept = || connection.prepare_cached(sql).unwrap();
            for bound in [1, 2, 1, 2] {
                assert!(kept().query_map([bound], |row| row.get::<_, u32>(0)).unwrap().count() > 0);
            }
            assert_eq!(
                (kept().get_status(StatementStatus::Run), kept().get_status(StatementStatus::RePrepare)),
                (4, 0)
            );
        }
    }

    /// It said that a query was not read-only.
    #[test]
    fn where_there_can_be_no_log_ahead_it_is_said() {
        // A file of SQLite's own, that ends with its connection.
        let connection = Connection::open("").unwrap();
        let error = write_ahead(&connection, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("write-ahead log"), "{error}");
    }
}
