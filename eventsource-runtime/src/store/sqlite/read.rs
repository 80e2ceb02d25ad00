//! Reading events in pages, with their envelopes.

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::{Envelope, StoredEvent};
pub(super) use crate::store::columns::signed;
use crate::store::columns::{Names, metadata, trace_context};
use crate::store::reading::LARGE_PAGE;
use crate::store::{Filter, Page, Position, StoreError, StreamId, Version};

/// How many rows are examined for one page of the feed, shown or not, which bounds the time that a page takes.
const SCANNED: usize = 8192;

const HEAD: &str = "SELECT ifnull(max(position), 0) FROM events";
const STREAM: &str = "SELECT position, stream_id, version, event_id, event_type, schema_version, recorded_at, \
    correlation_id, causation_id, metadata, traceparent, tracestate, payload FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
const FEED: &str = "SELECT position, stream_id, version, event_id, event_type, schema_version, recorded_at, \
    correlation_id, causation_id, metadata, traceparent, tracestate, payload FROM events \
    WHERE position > ?1 ORDER BY position LIMIT ?2";

pub(super) fn head(connection: &Connection) -> Result<Position, StoreError> {
    let read = || connection.prepare_cached(HEAD)?.query_row([], |row| row.get(0));
    read().map_err(|error| StoreError::backend("read the feed's head", error))
}

pub(super) fn stream(
    connection: &Connection,
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let mut statement = connection.prepare_cached(STREAM)?;
        let mut names = Names::default();
        let limit = signed(limit as u64);
        let mut rows = statement.query(params![stream.as_str(), signed(after.get()), limit])?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < LARGE_PAGE
            && let Some(row) = rows.next()?
        {
            let event = event(row, &mut names)?;
            bytes += event.bytes();
            events.push(event);
        }
        Ok(events)
    };
    read().map_err(|error| StoreError::backend("load a stream", error))
}

pub(super) fn all(connection: &Connection, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
    let mut page = Page { events: Vec::new(), scanned: after };
    let everything = *filter == Filter::all();
    // One query shows as much as is wanted, unless the filter hides some.
    let most = if everything { limit } else { SCANNED.max(limit) };
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(FEED)?;
        let mut rows = statement.query(params![signed(after.get()), signed(most as u64)])?;
        let (mut names, mut bytes) = (Names::default(), 0);
        while page.events.len() < limit
            && bytes < LARGE_PAGE
            && let Some(row) = rows.next()?
        {
            if everything || shown(row, filter)? {
                let event = event(row, &mut names)?;
                bytes += event.bytes();
                page.events.push(event);
            }
            page.scanned = row.get(0)?;
        }
        Ok(())
    };
    read().map_err(|error| StoreError::backend("read the feed", error))?;
    Ok(page)
}

/// Decided by two columns, so that the pages of a hidden event's payload are not even read.
fn shown(row: &Row<'_>, filter: &Filter) -> rusqlite::Result<bool> {
    let stream = row.get_ref(1)?.as_str()?;
    let aggregate_type = stream.split_once('-').map_or(stream, |(aggregate_type, _)| aggregate_type);
    Ok(filter.shows(row.get_ref(4)?.as_str()?, aggregate_type))
}

fn unreadable(column: usize, found: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, found, Box::new(error))
}

fn event(row: &Row<'_>, names: &mut Names) -> rusqlite::Result<StoredEvent> {
    let parent = row.get_ref(10)?.as_str_or_null()?;
    let (trace_context, malformed) = trace_context(parent, row.get_ref(11)?.as_str_or_null()?);
    let envelope = Envelope {
        position: row.get(0)?,
        stream: names.stream(row.get_ref(1)?.as_str()?).map_err(|error| unreadable(1, Type::Text, error))?,
        version: row.get(2)?,
        id: Uuid::from_bytes(row.get(3)?),
        event_type: names.event_type(row.get_ref(4)?.as_str()?),
        schema_version: row.get(5)?,
        recorded_at: Timestamp::from_micros(row.get(6)?),
        correlation_id: row.get::<_, Option<[u8; 16]>>(7)?.map(Uuid::from_bytes),
        causation_id: row.get::<_, Option<[u8; 16]>>(8)?.map(Uuid::from_bytes),
        metadata: metadata(row.get_ref(9)?.as_str_or_null()?).map_err(|error| unreadable(9, Type::Text, error))?,
        trace_context,
    };
    let event = StoredEvent::new(envelope, Bytes::copy_from_slice(row.get_ref(12)?.as_blob()?));
    Ok(event.with_malformed_context(malformed))
}
