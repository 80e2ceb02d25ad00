//! Folding a stream on a thread that reads, over the rows themselves.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::connection::{rollback, run};
use super::read::{number, signed};
use crate::domain::EventRef;
use crate::store::{Appended, Fold, Folded, Position, StoreError, StreamId, Version, Visitor};

/// How many rows are read in one go. Between two, the log can be copied into the file, which a reader holds up.
const PAGE: u32 = 4096;
/// How often a fold looks whether anybody still waits for it.
const GLANCE: u64 = 256;

const ROWS: &str = "SELECT version, position, event_type, schema_version, payload FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
const FIRST: &str = "SELECT version, position, causation_id, recorded_at FROM events \
    WHERE event_id = ?1 AND stream_id = ?2";
const REST: &str = "SELECT version, position, causation_id, recorded_at FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version";

pub(super) fn fold<V: Visitor>(
    connection: &Connection,
    fold: &Fold,
    visitor: V,
    abandoned: &dyn Fn() -> bool,
) -> Result<Folded<V>, StoreError> {
    let failed = |error| StoreError::backend("load a stream", error);
    let mut folding = Folding { visitor, visited: 0, after: fold.after, ended: false };
    if let Some(id) = fold.first_event {
        // One transaction, so that the events are those among which the command's were looked for.
        run(connection, "BEGIN").map_err(failed)?;
        let earlier = earlier(connection, &fold.stream, id).map_err(failed)?;
        if earlier.is_some() {
            rollback(connection);
            return Ok(Folded { visitor: folding.visitor, visited: 0, earlier });
        }
        folding.page(connection, &fold.stream, abandoned).map_err(failed)?;
        rollback(connection);
    }
    while !folding.ended {
        folding.page(connection, &fold.stream, abandoned).map_err(failed)?;
    }
    Ok(Folded { visitor: folding.visitor, visited: folding.visited, earlier: None })
}

struct Folding<V> {
    visitor: V,
    visited: u64,
    after: Version,
    ended: bool,
}

impl<V: Visitor> Folding<V> {
    fn page(
        &mut self,
        connection: &Connection,
        stream: &StreamId,
        abandoned: &dyn Fn() -> bool,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![stream.as_str(), signed(self.after.get()), PAGE])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            self.visited += 1;
            self.after = Version::new(number(row, 0)?);
            if self.visit(stream, row)?.is_break() || (self.visited.is_multiple_of(GLANCE) && abandoned()) {
                self.ended = true;
                return Ok(());
            }
        }
        self.ended = read < PAGE;
        Ok(())
    }

    fn visit(&mut self, stream: &StreamId, row: &Row<'_>) -> rusqlite::Result<ControlFlow<()>> {
        let position = Position::new(number(row, 1)?);
        let event_type = (row.get_ref(2)?.as_str()?, row.get(3)?);
        let payload = row.get_ref(4)?.as_blob()?;
        Ok(self.visitor.visit(EventRef::new(stream, (self.after, position), event_type, payload)))
    }
}

/// What tells the events of one append from those of another.
type Cause = (Option<Vec<u8>>, i64);

/// Where the append ended that stored an event of this stream: the events of one append share their cause and time.
fn earlier(connection: &Connection, stream: &StreamId, id: Uuid) -> rusqlite::Result<Option<Appended>> {
    let mut first = connection.prepare_cached(FIRST)?;
    let Some((mut last, cause)) = first.query_row(params![id.as_bytes(), stream.as_str()], caused).optional()? else {
        return Ok(None);
    };
    let mut rest = connection.prepare_cached(REST)?;
    let mut count = 1;
    for next in rest.query_map(params![stream.as_str(), signed(last.0)], caused)? {
        let (next, next_cause) = next?;
        if next_cause != cause {
            break;
        }
        last = next;
        count += 1;
    }
    Ok(Some(Appended::new(Version::new(last.0), Position::new(last.1), count).repeated()))
}

fn caused(row: &Row<'_>) -> rusqlite::Result<((u64, u64), Cause)> {
    Ok(((number(row, 0)?, number(row, 1)?), (row.get(2)?, row.get(3)?)))
}
