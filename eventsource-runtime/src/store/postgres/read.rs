//! Reading events in pages, with their envelopes.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::PostgresError;
use super::connections::{Busy, Fault, Readers};
use super::schema::Schema;
use crate::clock::Timestamp;
use crate::domain::{Envelope, StoredEvent};
use crate::store::columns::{Names, metadata, signed, trace_context};
use crate::store::reading::LARGE_PAGE;
use crate::store::{Filter, Page, Position, StoreError, StreamId, Version};

/// How many positions are examined for one page of the feed if a filter hides some, which bounds the time that it
/// takes.
const SCANNED: i64 = 8192;

/// The statements that read pages.
#[derive(Debug)]
pub(super) struct Reads {
    head: String,
    stream: String,
    feed: String,
    filtered: String,
    /// How many rows are likely to fit into a page: fewer than requested, if payloads are large.
    fits: AtomicUsize,
}

impl Reads {
    pub(super) fn new(schema: &Schema) -> Self {
        let columns = "position, stream_id, version, event_id, event_type, schema_version, recorded_at, \
            correlation_id, causation_id, metadata, traceparent, tracestate, payload";
        let sql = |statement: &str| schema.sql(&statement.replace("{columns}", columns));
        Self {
            head: sql("SELECT coalesce(max(position), 0) FROM {schema}.events"),
            stream: sql("SELECT {columns} FROM {schema}.events WHERE stream_id = $1 AND version > $2 \
                ORDER BY version LIMIT $3"),
            feed: sql("SELECT {columns} FROM {schema}.events WHERE position > $1 ORDER BY position LIMIT $2"),
            // One statement, so that no event is committed between the head and the page.
            filtered: sql("SELECT shown.*, ends.position AS scanned FROM \
                (SELECT coalesce(max(position), 0) AS position FROM {schema}.events) AS head \
                CROSS JOIN LATERAL (SELECT greatest($1::bigint, least($1::bigint + $3::bigint, head.position)) AS position) AS ends \
                LEFT JOIN LATERAL (SELECT {columns} FROM {schema}.events \
                    WHERE events.position > $1::bigint AND events.position <= ends.position \
                    AND ($4::text[] IS NULL OR event_type = ANY ($4)) \
                    AND ($5::text[] IS NULL OR split_part(stream_id, '-', 1) = ANY ($5)) \
                    ORDER BY events.position LIMIT $2) AS shown ON true ORDER BY shown.position"),
            fits: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) async fn head(&self, readers: &Readers) -> Result<Position, StoreError> {
        let read = async {
            let client = readers.lend().await?;
            let statement = client.prepare_cached(&self.head).await?;
            let row = client.query_one(&statement, &[]).await?;
            drop(client.free());
            Ok(Position::new(number(&row, 0)?))
        };
        read.await.map_err(|fault: Fault| fault.attempt("read the feed's head"))
    }

    pub(super) async fn stream(
        &self,
        readers: &Readers,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let read = async {
            let client = readers.lend().await?;
            let statement = client.prepare_cached(&self.stream).await?;
            let limit = self.fit(limit);
            let params: [&(dyn ToSql + Sync); 3] = [&named(stream), &signed(after.get()), &limit];
            Ok(self.page(client, &statement, &params, limit).await?.events)
        };
        read.await.map_err(|fault: Fault| fault.attempt("load a stream"))
    }

    pub(super) async fn all(
        &self,
        readers: &Readers,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let read = async {
            if *filter == Filter::all() {
                self.unfiltered(readers, after, limit).await
            } else {
                self.filtered(readers, after, filter, limit).await
            }
        };
        read.await.map_err(|fault: Fault| fault.attempt("read the feed"))
    }

    async fn unfiltered(&self, readers: &Readers, after: Position, limit: usize) -> Result<Page, Fault> {
        let client = readers.lend().await?;
        let statement = client.prepare_cached(&self.feed).await?;
        let limit = self.fit(limit);
        let rows = self.page(client, &statement, &[&signed(after.get()), &limit], limit).await?;
        let scanned = rows.events.last().map_or(after, |last| last.position);
        Ok(Page { events: rows.events, scanned })
    }

    async fn filtered(&self, readers: &Readers, after: Position, filter: &Filter, limit: usize) -> Result<Page, Fault> {
        let client = readers.lend().await?;
        let statement = client.prepare_cached(&self.filtered).await?;
        let event_types = filter.listed_event_types().map(acceptable);
        let aggregate_types = filter.listed_aggregate_types().map(acceptable);
        let after = signed(after.get());
        let (most, limit) = (SCANNED.max(signed(limit as u64)).min(i64::MAX - after), self.fit(limit));
        let params: [&(dyn ToSql + Sync); 5] = [&after, &limit, &most, &event_types, &aggregate_types];
        let rows = self.page(client, &statement, &params, limit).await?;
        let scanned = match rows.events.last() {
            Some(last) if rows.is_cut || signed(rows.events.len() as u64) == limit => last.position,
            _ => Position::new(rows.scanned),
        };
        Ok(Page { events: rows.events, scanned })
    }

    /// How many rows to ask for: no more than are likely to fit into a page.
    fn fit(&self, limit: usize) -> i64 {
        signed(limit.min(self.fits.load(Ordering::Relaxed)) as u64)
    }

    /// The events of a statement as they arrive, until their bytes fill the page. Anything still to come then is not
    /// waited for: the connection is closed.
    async fn page(
        &self,
        client: Busy,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
        limit: i64,
    ) -> Result<Rows, Fault> {
        let mut rows = pin!(client.query_raw(statement, params.iter().copied()).await?);
        let (mut names, mut bytes) = (Names::default(), 0);
        let mut page = Rows::default();
        while let Some(row) = rows.try_next().await? {
            if let Some(scanned) = row.columns().get(13) {
                debug_assert_eq!(scanned.name(), "scanned");
                page.scanned = number(&row, 13)?;
                // A page without events is one row without an event.
                if row.try_get::<_, Option<i64>>(0)?.is_none() {
                    continue;
                }
            }
            let event = event(&row, &mut names)?;
            bytes += event.bytes();
            page.events.push(event);
            page.is_cut = bytes >= LARGE_PAGE && signed(page.events.len() as u64) < limit;
            if page.is_cut {
                break;
            }
        }
        let client = client.free();
        if page.is_cut {
            drop(Object::take(client));
        }
        self.learn(page.events.len(), bytes, page.is_cut);
        Ok(page)
    }

    /// Makes the next page ask for as many rows as this one had room for.
    fn learn(&self, rows: usize, bytes: usize, is_cut: bool) {
        let fits = self.fits.load(Ordering::Relaxed);
        if is_cut {
            self.fits.store(rows, Ordering::Relaxed);
        } else if rows >= fits && bytes < LARGE_PAGE / 2 {
            self.fits.store(fits.saturating_mul(2), Ordering::Relaxed);
        }
    }
}

/// A stream's name, if the server accepts it; otherwise one that no stream has either, so that nothing is found.
pub(super) fn named(stream: &StreamId) -> &str {
    if stream.holds_nul() { "" } else { stream.as_str() }
}

/// Those of the names that the server accepts: it has no event of the others. A list of which none is left shows none.
fn acceptable<'a>(names: &'a [Cow<'static, str>]) -> Vec<&'a str> {
    names.iter().map(|name| &**name).filter(|name| !name.contains('\0')).collect()
}

/// The answer to a statement.
#[derive(Default)]
struct Rows {
    events: Vec<StoredEvent>,
    /// The last position examined, if a filter may hide it.
    scanned: u64,
    /// Whether there were more.
    is_cut: bool,
}

/// A number that is never negative.
pub(super) fn number(row: &Row, column: usize) -> Result<u64, PostgresError> {
    u64::try_from(row.try_get::<_, i64>(column)?).map_err(|_| unreadable(row, column, "is negative"))
}

pub(super) fn unreadable(row: &Row, column: usize, fault: &str) -> PostgresError {
    let name = row.columns().get(column).map_or("?", |column| column.name());
    PostgresError::new(format!("the stored `{name}` {fault}; the table was changed by something else"))
}

fn event(row: &Row, names: &mut Names) -> Result<StoredEvent, PostgresError> {
    let (trace_context, malformed) = trace_context(row.try_get(10)?, row.try_get(11)?);
    let stream = names.stream(row.try_get(1)?).map_err(|_| unreadable(row, 1, "is not a stream id"))?;
    let schema_version = u32::try_from(number(row, 5)?).map_err(|_| unreadable(row, 5, "is too large"))?;
    let envelope = Envelope {
        position: Position::new(number(row, 0)?),
        stream,
        version: Version::new(number(row, 2)?),
        id: row.try_get(3)?,
        event_type: names.event_type(row.try_get(4)?),
        schema_version,
        recorded_at: Timestamp::from_micros(row.try_get(6)?),
        correlation_id: row.try_get(7)?,
        causation_id: row.try_get(8)?,
        metadata: metadata(row.try_get(9)?).map_err(|_| unreadable(row, 9, "is not an object of texts"))?,
        trace_context,
    };
    let event = StoredEvent::new(envelope, Bytes::copy_from_slice(row.try_get(12)?));
    Ok(event.with_malformed_context(malformed))
}
