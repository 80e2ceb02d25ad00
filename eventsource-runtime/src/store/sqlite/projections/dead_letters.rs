//! The table of dead letters.

use rusqlite::{Connection, Row, params};

use super::super::read::signed;
use crate::clock::Timestamp;
use crate::projection::{DeadLetter, Letters};
use crate::store::{Position, StreamId};

/// After a restore the checkpoint may lie before an event that is a dead letter already.
const INSERT: &str = "INSERT INTO projection_dead_letters \
    (projection, position, stream_id, version, event_type, error_type, reason, retries, at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (projection, position) DO NOTHING";
const ANY: &str = "SELECT EXISTS (SELECT 1 FROM projection_dead_letters WHERE projection = ?1)";
const OF_STREAM: &str =
    "SELECT EXISTS (SELECT 1 FROM projection_dead_letters WHERE projection = ?1 AND stream_id = ?2)";
const LIST: &str = "SELECT position, stream_id, version, event_type, error_type, reason, retries, at \
    FROM projection_dead_letters WHERE projection = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
const LIST_STREAM: &str = "SELECT position, stream_id, version, event_type, error_type, reason, retries, at \
    FROM projection_dead_letters WHERE projection = ?1 AND position > ?2 AND stream_id = ?4 ORDER BY position LIMIT ?3";
const REMOVE: &str = "DELETE FROM projection_dead_letters WHERE projection = ?1 AND position = ?2";
const REMOVE_FIRST: &str = "DELETE FROM projection_dead_letters AS letter WHERE projection = ?1 AND position = ?2 \
    AND NOT EXISTS (SELECT 1 FROM projection_dead_letters AS earlier WHERE earlier.projection = ?1 \
        AND earlier.stream_id = letter.stream_id AND earlier.position < ?2)";
const FORGET: &str = "DELETE FROM projection_dead_letters WHERE projection = ?1";

pub(super) fn insert(tx: &Connection, projection: &str, letter: &DeadLetter) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(INSERT)?;
    let inserted = statement.execute(params![
        projection,
        signed(letter.position.get()),
        letter.stream.as_str(),
        signed(letter.version.get()),
        &*letter.event_type,
        letter.error_type,
        letter.reason,
        letter.retries,
        letter.at.as_micros(),
    ]);
    inserted.map(drop)
}

pub(super) fn has_any(tx: &Connection, projection: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached(ANY)?.query_row([projection], |row| row.get(0))
}

pub(super) fn has_of(tx: &Connection, projection: &str, stream: &StreamId) -> rusqlite::Result<bool> {
    tx.prepare_cached(OF_STREAM)?.query_row([projection, stream.as_str()], |row| row.get(0))
}

pub(super) fn list(connection: &Connection, projection: &str, letters: &Letters) -> rusqlite::Result<Vec<DeadLetter>> {
    let (after, limit) = (signed(letters.after.get()), signed(letters.limit as u64));
    match &letters.stream {
        None => {
            let mut statement = connection.prepare_cached(LIST)?;
            statement.query_map(params![projection, after, limit], letter)?.collect()
        }
        Some(stream) => {
            let mut statement = connection.prepare_cached(LIST_STREAM)?;
            statement.query_map(params![projection, after, limit, stream.as_str()], letter)?.collect()
        }
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let stream = StreamId::stored(row.get_ref(1)?.as_str()?);
    let stream = stream
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error)))?;
    let place = (stream, row.get(2)?, row.get(0)?);
    let failure = (row.get(4)?, row.get(5)?);
    let at = Timestamp::from_micros(row.get(7)?);
    Ok(DeadLetter::new(place, row.get_ref(3)?.as_str()?, failure, row.get(6)?, at))
}

pub(super) fn remove(tx: &Connection, projection: &str, position: Position) -> rusqlite::Result<bool> {
    Ok(tx.prepare_cached(REMOVE)?.execute(params![projection, signed(position.get())])? > 0)
}

/// Removes it unless its stream has an earlier one.
pub(super) fn remove_first(tx: &Connection, projection: &str, position: Position) -> rusqlite::Result<bool> {
    Ok(tx.prepare_cached(REMOVE_FIRST)?.execute(params![projection, signed(position.get())])? > 0)
}

pub(super) fn forget(tx: &Connection, projection: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(FORGET)?.execute([projection]).map(drop)
}
