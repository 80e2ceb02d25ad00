//! Folding a stream on a reader thread, over the rows themselves.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::connection::{rollback, run};
use super::read::signed;
use crate::domain::EventRef;
use crate::store::reading::LARGE_PAGE;
use crate::store::{Appended, Fold, Folded, Position, StoreError, StreamId, Version, Visitor};

/// How much is read at a time: this many rows, but no more than this many bytes of payloads.
#[derive(Clone, Copy)]
pub(super) struct Share {
    rows: u32,
    bytes: usize,
}

/// Between two of these the log, held up by a reader, can be copied into the file.
const PAGE: Share = Share { rows: 4096, bytes: LARGE_PAGE };
/// What the writer thread reads when it has nothing else to do: a fraction of a millisecond.
pub(super) const FEW: Share = Share { rows: 64, bytes: 64 * 1024 };
/// After how many events a fold checks whether anybody still waits for it.
const LOOKS_EVERY: u64 = 256;

const ROWS: &str = "SELECT version, position, event_type, schema_version, payload FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
const FIRST: &str = "SELECT version, position, causation_id, recorded_at FROM events \
    WHERE event_id = ?1 AND stream_id = ?2";
const REST: &str = "SELECT version, position, causation_id, recorded_at FROM events \
    WHERE stream_id = ?1 AND version > ?2 ORDER BY version";

/// Folds to the stream's end.
pub(super) fn fold<V: Visitor>(
    connection: &Connection,
    fold: Fold,
    visitor: V,
    abandoned: &dyn Fn() -> bool,
) -> Result<Folded<V>, StoreError> {
    Folding::new(fold, visitor).finish(connection, abandoned)
}

/// A fold on its way to the stream's end.
pub(super) struct Folding<V> {
    stream: StreamId,
    visitor: V,
    visited: u64,
    after: Version,
    /// Looked for before the first page, and again after the last: what is appended in between may be shown.
    first_event: Option<Uuid>,
    begun: bool,
    earlier: Option<Appended>,
    ended: bool,
}

impl<V: Visitor> Folding<V> {
    pub(super) fn new(fold: Fold, visitor: V) -> Self {
        let Fold { stream, after, first_event } = fold;
        Self { stream, visitor, visited: 0, after, first_event, begun: false, earlier: None, ended: false }
    }

    /// Its result, if it has ended.
    pub(super) fn ended(self) -> Result<Folded<V>, Self> {
        if self.ended { Ok(self.folded()) } else { Err(self) }
    }

    fn folded(self) -> Folded<V> {
        Folded { visitor: self.visitor, visited: self.visited, earlier: self.earlier }
    }

    /// Reads one share.
    pub(super) fn step(
        mut self,
        connection: &Connection,
        share: Share,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Self, StoreError> {
        let stepped = match self.first_event {
            Some(id) if !self.begun => self.first_page(connection, id, share, abandoned),
            _ => self.page(connection, share, abandoned).and_then(|()| self.look_again(connection)),
        };
        self.begun = true;
        stepped.map_err(|error| StoreError::backend("load a stream", error))?;
        Ok(self)
    }

    pub(super) fn finish(
        mut self,
        connection: &Connection,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Folded<V>, StoreError> {
        while !self.ended {
            self = self.step(connection, PAGE, abandoned)?;
        }
        Ok(self.folded())
    }

    /// In one transaction, so that the events are those among which the command's were sought.
    fn first_page(
        &mut self,
        connection: &Connection,
        id: Uuid,
        share: Share,
        abandoned: &dyn Fn() -> bool,
    ) -> rusqlite::Result<()> {
        run(connection, "BEGIN")?;
        self.earlier = earlier(connection, &self.stream, id)?;
        self.ended = self.earlier.is_some();
        if !self.ended {
            self.page(connection, share, abandoned)?;
        }
        rollback(connection);
        Ok(())
    }

    fn look_again(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let (true, Some(id)) = (self.ended, self.first_event) {
            self.earlier = earlier(connection, &self.stream, id)?;
        }
        Ok(())
    }

    fn page(&mut self, connection: &Connection, share: Share, abandoned: &dyn Fn() -> bool) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![self.stream.as_str(), signed(self.after.get()), share.rows])?;
        let (mut read, mut left) = (0, share.bytes);
        while let Some(row) = rows.next()? {
            read += 1;
            self.visited += 1;
            self.after = row.get(0)?;
            let payload = row.get_ref(4)?.as_blob()?;
            if self.visit(row, payload)?.is_break() || (self.visited.is_multiple_of(LOOKS_EVERY) && abandoned()) {
                self.ended = true;
                return Ok(());
            }
            left = left.saturating_sub(payload.len());
            if left == 0 {
                return Ok(());
            }
        }
        self.ended = read < share.rows;
        Ok(())
    }

    fn visit(&mut self, row: &Row<'_>, payload: &[u8]) -> rusqlite::Result<ControlFlow<()>> {
        let position = row.get(1)?;
        let event_type = (row.get_ref(2)?.as_str()?, row.get(3)?);
        Ok(self.visitor.visit(EventRef::new(&self.stream, (self.after, position), event_type, payload)))
    }
}

/// What distinguishes the events of one append from those of another.
type Cause = (Option<Vec<u8>>, i64);

/// Where the append that stored an event of this stream ended: the events of one append share their cause and time.
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
    Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::sqlite::schema;

    struct Versions(Vec<u64>);

    impl Visitor for Versions {
        fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
            self.0.push(event.version.get());
            ControlFlow::Continue(())
        }
    }

    /// The rows alone bounded it, which may be of 16 MiB each.
    const EMPTY: &str = "x'7b7d'";

    fn append(connection: &Connection, version: u32, id: Uuid, payload: &str) {
        let insert = format!(
            "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, payload) \
             VALUES ('Order-1', ?1, ?2, 'Placed', 1, 0, {payload})"
        );
        connection.execute(&insert, params![version, id.as_bytes()]).unwrap();
    }

    /// Makes it a store with so many events of one stream.
    fn store(connection: &Connection, events: u32, payload: &str) {
        schema::migrate(connection).unwrap();
        for version in 1..=events {
            append(connection, version, Uuid::from_u128(version.into()), payload);
        }
    }

    #[test]
    fn a_page_ends_where_its_payloads_are_large() {
        let connection = Connection::open_in_memory().unwrap();
        store(&connection, 6, "zeroblob(1 << 20)");
        let fold = Fold { stream: StreamId::new("Order", 1), after: Version::START, first_event: None };
        let begun = Folding::new(fold, Versions(Vec::new())).step(&connection, PAGE, &|| false).unwrap();
        assert_eq!((begun.visited, begun.ended), (4, false));
    }

    #[test]
    fn a_fold_goes_on_where_it_was_wherever_it_is_interrupted() {
        let connection = Connection::open_in_memory().unwrap();
        store(&connection, 10, EMPTY);
        let fold = |first_event| {
            let fold = Fold { stream: StreamId::new("Order", 1), after: Version::new(2), first_event };
            Folding::new(fold, Versions(Vec::new()))
        };
        let shares = (1..=9)
            .flat_map(|most| [Share { rows: most, bytes: usize::MAX }, Share { rows: 100, bytes: 2 * most as usize }]);
        for share in shares {
            for first_event in [None, Some(Uuid::from_u128(77))] {
                let begun = fold(first_event).step(&connection, share, &|| false).unwrap();
                assert!(begun.visited <= share.rows.into() && begun.visited * 2 <= share.bytes as u64);
                let folded = match begun.ended() {
                    Ok(folded) => folded,
                    Err(folding) => folding.finish(&connection, &|| false).unwrap(),
                };
                assert_eq!(folded.visitor.0, (3..=10).collect::<Vec<_>>());
                assert_eq!((folded.visited, folded.earlier), (8, None));
            }
        }
        let found = fold(Some(Uuid::from_u128(10))).step(&connection, FEW, &|| false).unwrap().ended().ok().unwrap();
        assert_eq!((found.visited, found.earlier.map(|earlier| earlier.version.get())), (0, Some(10)));
        assert!(connection.is_autocommit());
    }

    /// At any of SQLite's steps somebody else may append the command that is looked for.
    #[test]
    fn a_command_that_is_appended_meanwhile_is_found_or_not_shown() {
        let first = Uuid::from_u128(77);
        let file = std::env::temp_dir().join(format!("eventsource-fold-{}.db", Uuid::now_v7()));
        let open = || Connection::open(&file).unwrap();
        let (mut connection, raw) = (open(), open());
        raw.pragma_update(None, "journal_mode", "WAL").unwrap();
        store(&raw, 1, EMPTY);
        let (mut step, mut is_done) = (0, false);
        while !is_done {
            step += 1;
            raw.execute_batch("DROP TRIGGER IF EXISTS events_are_not_deleted; DELETE FROM events WHERE version = 2")
                .unwrap();
            let (other, mut left) = (open(), step);
            let interrupt = move || {
                left -= 1;
                if left == 0 {
                    append(&other, 2, first, EMPTY);
                }
                false
            };
            connection.progress_handler(1, Some(interrupt)).unwrap();
            let fold = Fold { stream: StreamId::new("Order", 1), after: Version::START, first_event: Some(first) };
            let folded = Folding::new(fold, Versions(Vec::new())).finish(&connection, &|| false).unwrap();
            connection.progress_handler(0, None::<fn() -> bool>).unwrap();
            let shown = folded.visitor.0.contains(&2);
            assert!(folded.earlier.is_some() || !shown, "appended at step {step}, {:?} was shown", folded.visitor.0);
            is_done = raw.query_row("SELECT count(*) FROM events", [], |row| Ok(row.get::<_, u32>(0)? == 1)).unwrap();
        }
        assert!(step > 10, "nothing was appended meanwhile");
        // The last to close it removes its log.
        drop((connection, raw));
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_fold_that_nobody_waits_for_ends() {
        let connection = Connection::open_in_memory().unwrap();
        store(&connection, 1000, EMPTY);
        let fold = Fold { stream: StreamId::new("Order", 1), after: Version::START, first_event: None };
        let folded = Folding::new(fold, Versions(Vec::new())).finish(&connection, &|| true).unwrap();
        assert_eq!(folded.visited, LOOKS_EVERY);
    }
}
