//! The least work on SQLite: the statements that a command of the store comes to, on the store's own schema, by hand.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::orders::{AnyCommand, Order, OrderEvent, apply, decode, encode};

const SCHEMA: &str = include_str!("../../../eventsource-runtime/migrations/sqlite/0001_events.sql");
const ROWS: &str = "SELECT version, position, event_type, schema_version, payload FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
const LAST: &str = "SELECT version, position FROM events WHERE stream_id = ?1 ORDER BY version DESC LIMIT 1";
const INSERT: &str = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, \
    correlation_id, causation_id, metadata, traceparent, tracestate, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Opens a database as the store opens it: with the write-ahead log and the same limits.
///
/// # Panics
/// SQLite refuses.
#[must_use]
pub fn open(path: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(path).expect("a database");
    let set = |name: &str, value: &str| connection.pragma_update(None, name, value).expect("a pragma");
    set("journal_mode", "WAL");
    set("synchronous", synchronous);
    set("cache_size", "-16384");
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024).expect("a pragma");
    // Otherwise most of them are prepared again each time, as in the store.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
    connection.execute_batch(SCHEMA).expect("the schema");
    connection
}

/// The stream of an order.
#[must_use]
pub fn stream(order: Uuid) -> String {
    format!("Order-{order}")
}

/// Loads an order, and tells its version.
///
/// # Errors
/// SQLite failed.
pub fn load(connection: &Connection, stream: &str) -> rusqlite::Result<(Order, i64)> {
    let mut statement = connection.prepare_cached(ROWS)?;
    let mut rows = statement.query(params![stream, 0, i64::MAX])?;
    let (mut order, mut version) = (Order::default(), 0);
    while let Some(row) = rows.next()? {
        version = row.get(0)?;
        apply(&mut order, decode(row.get_ref(2)?.as_str()?, row.get_ref(4)?.as_blob()?));
    }
    Ok((order, version))
}

/// Appends an event in a transaction of its own, if nobody else has.
///
/// # Errors
/// SQLite failed, or somebody else has.
pub fn append(connection: &Connection, stream: &str, expected: i64, event: &OrderEvent) -> rusqlite::Result<i64> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
    let last = connection.prepare_cached(LAST)?.query_row([stream], |row| row.get::<_, i64>(0));
    let actual = match last {
        Err(rusqlite::Error::QueryReturnedNoRows) => 0,
        other => other?,
    };
    if actual != expected {
        connection.prepare_cached("ROLLBACK")?.raw_execute()?;
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    let (name, payload) = encode(event);
    let command = Uuid::now_v7();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let recorded_at = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(INSERT)?.execute(params![
        stream,
        expected + 1,
        Uuid::now_v7().as_bytes(),
        name,
        1,
        recorded_at,
        command.as_bytes(),
        command.as_bytes(),
        None::<&str>,
        None::<&str>,
        None::<&str>,
        payload,
    ])?;
    connection.prepare_cached("COMMIT")?.raw_execute()?;
    Ok(expected + 1)
}

/// Handles a command: loads, decides, appends.
///
/// # Errors
/// SQLite failed.
///
/// # Panics
/// The order refuses: no order of the benchmark does.
pub fn handle(connection: &Connection, order: Uuid, command: AnyCommand) -> rusqlite::Result<i64> {
    let stream = stream(order);
    let (state, version) = load(connection, &stream)?;
    let event = command.decide(&state).expect("the commands come in order");
    append(connection, &stream, version, &event)
}
