//! One append, inside the transaction of its group.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::run;
use super::read::signed;
use crate::store::columns::metadata_text;
use crate::store::repetition::{Known, mismatch, repeated};
use crate::store::{
    AppendError, Appended, Conflict, ExpectedVersion, NewEvent, Origin, Position, StoreError, StreamId, Version,
};

const LAST: &str = "SELECT version, position FROM events WHERE stream_id = ?1 ORDER BY version DESC LIMIT 1";
const INSERT: &str = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, \
    correlation_id, causation_id, metadata, traceparent, tracestate, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const KNOWN: &str = "SELECT stream_id, version, position, event_type = ?2 AND schema_version = ?3 AND payload = ?4 \
    FROM events WHERE event_id = ?1";

const FULL: &str = "the feed has come to the last position that there is; begin a new file";

fn failed(error: rusqlite::Error) -> AppendError {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    let attempt = "append events";
    match error.sqlite_error_code() {
        Some(ConstraintViolation | TooBig | TypeMismatch) => StoreError::refused(attempt, error).into(),
        _ => StoreError::backend(attempt, error).into(),
    }
}

/// Appends the events of one caller, all or none. Any error but the database's leaves the transaction as it was.
pub(super) fn append(
    connection: &Connection,
    stream: &StreamId,
    expected: ExpectedVersion,
    events: &[NewEvent],
) -> Result<Appended, AppendError> {
    let (actual, position) = last(connection, stream).map_err(failed)?;
    if !expected.admits(actual) {
        return match repeated(stream, events, |event| known(connection, stream, event).map_err(failed))? {
            Some(appended) => Ok(appended),
            None => Err(Conflict::new(stream.clone(), expected, actual).into()),
        };
    }
    if events.is_empty() {
        return Ok(Appended::new(actual, position, 0));
    }
    match insert_all(connection, stream, actual, events).map_err(failed)? {
        Inserted::All(appended) => Ok(appended),
        Inserted::Full => Err(StoreError::refused("append events", FULL).into()),
        Inserted::None { taken } => {
            match repeated(stream, events, |event| known(connection, stream, event).map_err(failed))? {
                Some(appended) => Ok(appended),
                None => Err(mismatch(stream, &events[taken])),
            }
        }
    }
}

/// Where a stream stands.
fn last(connection: &Connection, stream: &StreamId) -> rusqlite::Result<(Version, Position)> {
    let mut statement = connection.prepare_cached(LAST)?;
    let mut rows = statement.query([stream.as_str()])?;
    match rows.next()? {
        None => Ok((Version::START, Position::START)),
        Some(row) => Ok((row.get(0)?, row.get(1)?)),
    }
}

enum Inserted {
    All(Appended),
    /// One of them came to the last position that there is. Behind an event there, `SQLite` would give out any that is
    /// free.
    Full,
    /// The id of one of the events is already stored.
    None {
        taken: usize,
    },
}

fn insert_all(
    connection: &Connection,
    stream: &StreamId,
    actual: Version,
    events: &[NewEvent],
) -> rusqlite::Result<Inserted> {
    // SQLite itself undoes a single statement that fails.
    let savepoint = events.len() > 1;
    if savepoint {
        run(connection, "SAVEPOINT append")?;
    }
    let mut written: Option<Written<'_>> = None;
    let mut statement = connection.prepare_cached(INSERT)?;
    for (ordinal, event) in events.iter().enumerate() {
        let common = match written.take() {
            Some(common) if std::ptr::eq(common.origin, Arc::as_ptr(&event.origin)) => common,
            _ => Written::new(&event.origin),
        };
        let version = actual.get() + ordinal as u64 + 1;
        let inserted = insert(&mut statement, stream, version, event, &common);
        written = Some(common);
        match inserted {
            Ok(()) if connection.last_insert_rowid() == i64::MAX => return Ok(Inserted::Full),
            Ok(()) => {}
            Err(error) if is_unique(&error) => {
                if savepoint {
                    run(connection, "ROLLBACK TO append")?;
                    run(connection, "RELEASE append")?;
                }
                return Ok(Inserted::None { taken: ordinal });
            }
            Err(error) => return Err(error),
        }
    }
    if savepoint {
        run(connection, "RELEASE append")?;
    }
    let count = events.len() as u64;
    let position = u64::try_from(connection.last_insert_rowid()).unwrap_or_default();
    Ok(Inserted::All(Appended::new(Version::new(actual.get() + count), Position::new(position), count)))
}

fn insert(
    statement: &mut rusqlite::Statement<'_>,
    stream: &StreamId,
    version: u64,
    event: &NewEvent,
    common: &Written<'_>,
) -> rusqlite::Result<()> {
    let origin = common.origin;
    let inserted = statement.execute(params![
        stream.as_str(),
        signed(version),
        event.id.as_bytes(),
        event.event_type,
        event.schema_version,
        origin.recorded_at.as_micros(),
        origin.correlation_id.as_ref().map(uuid::Uuid::as_bytes),
        origin.causation_id.as_ref().map(uuid::Uuid::as_bytes),
        common.metadata,
        common.traceparent,
        origin.trace_context.as_ref().and_then(|context| context.tracestate()),
        &*event.payload,
    ]);
    inserted.map(drop)
}

fn is_unique(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_extended_error_code();
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// What the events of one append have in common, as it is stored.
struct Written<'a> {
    origin: &'a Origin,
    metadata: Option<String>,
    traceparent: Option<String>,
}

impl<'a> Written<'a> {
    fn new(origin: &'a Arc<Origin>) -> Self {
        let metadata = metadata_text(&origin.metadata);
        let traceparent = origin.trace_context.as_ref().map(ToString::to_string);
        Self { origin, metadata, traceparent }
    }
}

fn known(connection: &Connection, stream: &StreamId, event: &NewEvent) -> rusqlite::Result<Option<Known>> {
    let mut statement = connection.prepare_cached(KNOWN)?;
    let given = params![event.id.as_bytes(), event.event_type, event.schema_version, &*event.payload];
    let row = statement.query_row(given, |row| {
        let same = row.get_ref(0)?.as_str()? == stream.as_str() && row.get(3)?;
        Ok(Known { version: row.get(1)?, position: row.get(2)?, same })
    });
    row.optional()
}
