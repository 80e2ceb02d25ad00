//! Folding a stream, over the rows as they arrive.

use std::ops::ControlFlow;
use std::pin::pin;

use deadpool_postgres::Object;
use futures_util::future::{join, try_join};
use futures_util::stream::iter;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};
use uuid::Uuid;

use super::PostgresError;
use super::connections::{Busy, Fault, Readers};
use super::read::{named, number};
use super::schema::Schema;
use super::snapshots::snapshot;
use crate::domain::EventRef;
use crate::snapshot::{PATIENCE, Restore, StoredSnapshot};
use crate::store::columns::signed;
use crate::store::reading::LARGE_PAGE;
use crate::store::{Appended, Fold, Folded, Position, StoreError, StreamId, Version, Visitor};

/// How many rows are read at a time: what a connection still has to read when nobody waits for the rest any more.
const PAGE: i64 = 8192;
/// How many rows are held at a time, where they cannot be shown as they come; fewer where they are large.
const HELD: i64 = 256;

/// The statements for folds.
#[derive(Debug)]
pub(super) struct Folds {
    rows: String,
    begin: String,
    earlier: String,
}

impl Folds {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            rows: schema.sql(
                "SELECT version, position, event_type, schema_version, payload FROM {schema}.events \
                WHERE stream_id = $1 AND version > $2 ORDER BY version LIMIT $3",
            ),
            // The snapshot, if there is one of this history, recognized by having no event type; then the events after
            // it. Another history may have another event at the same version and position.
            begin: schema.sql(
                "WITH snapshot AS MATERIALIZED (SELECT * FROM {schema}.snapshots AS kept WHERE stream_id = $1 \
                    AND (position, event_id) = (SELECT position, event_id FROM {schema}.events AS last \
                        WHERE last.stream_id = $1 AND last.version = kept.version)) \
                SELECT version, position, NULL::text, schema_version, state, schema_hash, event_id FROM snapshot \
                UNION ALL (SELECT version, position, event_type, schema_version, payload, NULL, NULL \
                    FROM {schema}.events WHERE stream_id = $1 \
                        AND version > coalesce((SELECT version FROM snapshot), 0) \
                    ORDER BY version LIMIT $2)",
            ),
            // The events of one append share their cause and time; the first that does not share them ends it.
            earlier: schema.sql(
                "SELECT first.version, ends.version, ends.position FROM {schema}.events AS first \
                CROSS JOIN LATERAL (SELECT coalesce(min(version), 9223372036854775807) AS version \
                    FROM {schema}.events WHERE stream_id = first.stream_id AND version > first.version \
                    AND (causation_id IS DISTINCT FROM first.causation_id OR recorded_at <> first.recorded_at)) AS next \
                CROSS JOIN LATERAL (SELECT version, position FROM {schema}.events \
                    WHERE stream_id = first.stream_id AND version < next.version ORDER BY version DESC LIMIT 1) AS ends \
                WHERE first.event_id = $1 AND first.stream_id = $2",
            ),
        }
    }

    pub(super) async fn fold<V: Visitor>(
        &self,
        readers: &Readers,
        fold: Fold,
        visitor: V,
    ) -> Result<Folded<V>, StoreError> {
        let folded = async {
            let client = readers.lend().await?;
            let mut folding = Folding { visitor, visited: 0, after: fold.after, stream: &fold.stream };
            let left = match fold.first_event {
                None => Left::Some,
                Some(id) => {
                    self.prepare(&client).await?;
                    // The rows first: if the command's events are not found after them, they do not contain them.
                    let rows = async { held(self.rows(&client, (&fold.stream, fold.after), HELD).await?).await };
                    let (rows, earlier): (Result<_, Fault>, _) =
                        join(rows, self.earlier(&client, &fold.stream, id)).await;
                    let rows = rows?;
                    if let Some(earlier) = earlier? {
                        return Ok(folding.repeated(earlier));
                    }
                    folding.visit_all(&rows)?
                }
            };
            self.rest(client, folding, left, fold.first_event).await
        };
        folded.await.map_err(|fault: Fault| fault.attempt("load a stream"))
    }

    /// Shows the snapshot and the events after it, read by one statement and so of one moment. It waits for the first
    /// of them as long as for any snapshot; after that the events are read without one, on another connection.
    pub(super) async fn fold_from_snapshot<V: Restore>(
        &self,
        readers: &Readers,
        fold: Fold,
        mut visitor: V,
    ) -> Result<Folded<V>, StoreError> {
        // That there is no connection is no fault of the snapshot's, and asking for the events needs one as well.
        let client = readers.lend().await.map_err(|fault| fault.attempt("load a stream"))?;
        let (mut held, earlier) = match self.begin(&client, &fold).await {
            Ok(begun) => begun,
            // It may be the snapshot's fault; the events are asked for by themselves.
            Err(fault) => {
                drop(client);
                let after = visitor.restore(Err(fault.attempt("read a snapshot")));
                return self.fold(readers, Fold { after, ..fold }, visitor).await;
            }
        };
        let snapshot = held.snapshot(&fold.stream);
        // Without a readable snapshot, the held events follow one that nobody has.
        let read_after =
            snapshot.as_ref().ok().map(|found| found.as_ref().map_or(Version::START, |found| found.last.version));
        let after = visitor.restore(snapshot.map_err(|error| StoreError::backend("read a snapshot", error)));
        let mut folding = Folding { visitor, visited: 0, after, stream: &fold.stream };
        if let Some(earlier) = earlier {
            return Ok(folding.repeated(earlier));
        }
        let folded = async {
            // If the visitor did not take the snapshot, the events after it are of no use either.
            let left = if Some(after) == read_after { folding.visit_all(&held)? } else { Left::Some };
            self.rest(client, folding, left, fold.first_event).await
        };
        folded.await.map_err(|fault: Fault| fault.attempt("load a stream"))
    }

    /// The snapshot and the first events after it, and the result of an earlier append.
    async fn begin(&self, client: &Object, fold: &Fold) -> Result<(Held, Option<Appended>), Fault> {
        let until = Instant::now() + PATIENCE;
        let late = |late: Elapsed| PostgresError::unavailable(late.to_string());
        let prepared = async {
            let statement = client.prepare_cached(&self.begin).await?;
            if fold.first_event.is_some() {
                self.prepare(client).await?;
            }
            Ok::<_, Fault>(statement)
        };
        let statement = timeout_at(until, prepared).await.map_err(late)??;
        let stream = named(&fold.stream);
        let rows = async {
            let params: [&(dyn ToSql + Sync); 2] = [&stream, &HELD];
            // Once the server begins to answer, nobody has it locked, and the rest may take long to arrive.
            let begun = async {
                let mut rows = Box::pin(client.query_raw(&statement, params).await?);
                Ok::<_, Fault>((rows.try_next().await?, rows))
            };
            let (first, rows) = timeout_at(until, begun).await.map_err(late)??;
            // Nothing more may be asked of an answer that has ended.
            match first {
                Some(first) => held(iter([Ok(first)]).chain(rows)).await,
                None => Ok(Held::default()),
            }
        };
        let Some(id) = fold.first_event else { return Ok((rows.await?, None)) };
        // Not queued behind rows that do not come.
        try_join(rows, self.earlier(client, &fold.stream, id)).await
    }

    /// Prepares what is sent together, so that nothing comes in between: one round trip for both.
    async fn prepare(&self, client: &Object) -> Result<(), Fault> {
        client.prepare_cached(&self.rows).await?;
        client.prepare_cached(&self.earlier).await?;
        Ok(())
    }

    /// Shows page by page what is left. A command whose events were not found among the first ones may have been
    /// handled since, and is looked for again after the last page. Where the visitor has enough in the middle of a page
    /// the connection is given up, so that nobody who is lent it has to wait for what is left; but not where this waits
    /// for that itself.
    async fn rest<V: Visitor>(
        &self,
        client: Busy,
        mut folding: Folding<'_, V>,
        mut left: Left,
        first_event: Option<Uuid>,
    ) -> Result<Folded<V>, Fault> {
        let again = first_event.filter(|_| left == Left::Some);
        while left == Left::Some {
            left = folding.page(self.rows(&client, (folding.stream, folding.after), PAGE).await?).await?;
        }
        let earlier = match again {
            Some(id) => self.earlier(&client, folding.stream, id).await?,
            None => None,
        };
        let client = client.free();
        if left == Left::Unread && again.is_none() {
            drop(Object::take(client));
        }
        Ok(Folded { visitor: folding.visitor, visited: folding.visited, earlier })
    }

    async fn rows(
        &self,
        client: &Object,
        (stream, after): (&StreamId, Version),
        limit: i64,
    ) -> Result<RowStream, Fault> {
        let statement = client.prepare_cached(&self.rows).await?;
        let (stream, after) = (named(stream), signed(after.get()));
        let params: [&(dyn ToSql + Sync); 3] = [&stream, &after, &limit];
        Ok(client.query_raw(&statement, params).await?)
    }

    async fn earlier(&self, client: &Object, stream: &StreamId, id: Uuid) -> Result<Option<Appended>, Fault> {
        let statement = client.prepare_cached(&self.earlier).await?;
        let Some(row) = client.query_opt(&statement, &[&id, &named(stream)]).await? else { return Ok(None) };
        let (first, last) = (number(&row, 0)?, number(&row, 1)?);
        let ends = Appended::new(Version::new(last), Position::new(number(&row, 2)?), last + 1 - first);
        Ok(Some(ends.repeated()))
    }
}

/// Rows that wait to be shown.
#[derive(Default)]
struct Held {
    rows: Vec<Row>,
    /// Whether there were more.
    is_cut: bool,
}

/// As many rows as may be held.
async fn held(rows: impl Stream<Item = Result<Row, tokio_postgres::Error>>) -> Result<Held, Fault> {
    let mut rows = pin!(rows);
    let (mut held, mut bytes) = (Held::default(), 0);
    while let Some(row) = rows.try_next().await? {
        bytes += row.try_get::<_, &[u8]>(4)?.len();
        held.rows.push(row);
        if bytes >= LARGE_PAGE {
            held.is_cut = true;
            break;
        }
    }
    Ok(held)
}

impl Held {
    /// Takes the snapshot, which is the first row if there is one; the others are events.
    fn snapshot(&mut self, stream: &StreamId) -> Result<Option<StoredSnapshot>, PostgresError> {
        match self.rows.first().map(|row| row.try_get::<_, Option<&str>>(2)) {
            Some(Ok(None)) => snapshot(&self.rows.remove(0), stream).map(Some),
            _ => Ok(None),
        }
    }
}

/// Whether a stream may continue.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    Some,
    None,
    /// There may be more on its way, which nobody wants.
    Unread,
}

struct Folding<'a, V> {
    visitor: V,
    visited: u64,
    after: Version,
    stream: &'a StreamId,
}

impl<V: Visitor> Folding<'_, V> {
    /// The command was handled before; nothing was shown.
    fn repeated(self, earlier: Appended) -> Folded<V> {
        Folded { visitor: self.visitor, visited: 0, earlier: Some(earlier) }
    }

    async fn page(&mut self, rows: RowStream) -> Result<Left, Fault> {
        let mut rows = pin!(rows);
        let mut read = 0;
        while let Some(row) = rows.try_next().await? {
            read += 1;
            if self.visit(&row)?.is_break() {
                // The end of a short answer arrives together with its rows.
                let is_read = matches!(rows.try_next().now_or_never(), Some(Ok(None)));
                return Ok(if is_read { Left::None } else { Left::Unread });
            }
        }
        Ok(if read < PAGE { Left::None } else { Left::Some })
    }

    fn visit_all(&mut self, held: &Held) -> Result<Left, Fault> {
        for row in &held.rows {
            if self.visit(row)?.is_break() {
                return Ok(if held.is_cut { Left::Unread } else { Left::None });
            }
        }
        Ok(if held.is_cut || signed(held.rows.len() as u64) >= HELD { Left::Some } else { Left::None })
    }

    fn visit(&mut self, row: &Row) -> Result<ControlFlow<()>, PostgresError> {
        self.visited += 1;
        self.after = Version::new(number(row, 0)?);
        let position = Position::new(number(row, 1)?);
        let schema_version = u32::try_from(number(row, 3)?).unwrap_or(u32::MAX);
        let event_type = (row.try_get(2)?, schema_version);
        Ok(self.visitor.visit(EventRef::new(self.stream, (self.after, position), event_type, row.try_get(4)?)))
    }
}
