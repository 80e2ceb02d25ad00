//! The in-memory store: for tests, for examples, and for data that need not outlive the process.

mod projections;
mod snapshots;
mod state;

use std::fmt;
use std::sync::Arc;

use super::head::Head;
use super::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, NewEvent, Page, Position, StoreError,
    StoreInfo, StreamId, Traced, Version, Visitor,
};
use crate::domain::StoredEvent;
use crate::sync::Mutex;
use crate::telemetry::names;
pub use projections::MemoryTransaction;
use projections::Projections;
use snapshots::Snapshots;
use state::{Chunks, State};

/// How many events are examined for one page of the feed, shown or not, which bounds the time that a page takes.
const SCANNED: usize = 8192;

/// An in-memory store, with its spans and metrics.
pub type MemoryStore = Traced<Memory>;

impl Traced<Memory> {
    /// An empty store. Its clones share its events.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Memory::default())
    }
}

impl Default for Traced<Memory> {
    fn default() -> Self {
        Self::new()
    }
}

/// The in-memory store. [`MemoryStore`] is the same with its spans and metrics.
///
/// Events are kept as they were encoded and are decoded by each reader, as in any other store. An append is one step
/// under a lock, so that no part of it is visible before all of it is. No user code runs under the lock.
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    head: Head,
    projections: Projections,
    snapshots: Snapshots,
}

impl Memory {
    fn chunks(&self, stream: &StreamId, after: Version) -> Chunks {
        self.shared.state.lock().chunks(stream, after)
    }
}

impl EventStore for Memory {
    fn info(&self) -> StoreInfo {
        StoreInfo { target: names::LOG_MEMORY, ..StoreInfo::in_process("events") }
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        AppendError::check(stream, &events)?;
        let appended = self.shared.state.lock().append(stream, expected, events)?;
        self.shared.head.publish(appended.position);
        Ok(appended)
    }

    async fn fold<V: Visitor>(&self, fold: Fold, mut visitor: V) -> Result<Folded<V>, StoreError> {
        let (mut after, mut visited) = (fold.after, 0);
        let (mut earlier, mut chunks) = {
            let state = self.shared.state.lock();
            let earlier = fold.first_event.and_then(|id| state.earlier(&fold.stream, id));
            let chunks = if earlier.is_some() { Chunks::default() } else { state.chunks(&fold.stream, after) };
            (earlier, chunks)
        };
        let mut looks = 1;
        while !chunks.is_empty() {
            let shown = chunks.events(&fold.stream).try_for_each(|event| {
                visited += 1;
                after = event.version;
                visitor.visit(event)
            });
            if shown.is_break() || chunks.are_last() {
                break;
            }
            chunks = self.chunks(&fold.stream, after);
            looks += 1;
        }
        // The later looks may have shown events appended after the first.
        if looks > 1
            && let Some(id) = fold.first_event
        {
            earlier = self.shared.state.lock().earlier(&fold.stream, id);
        }
        Ok(Folded { visitor, visited, earlier })
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        mut after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::new();
        loop {
            let chunks = self.chunks(stream, after);
            events.extend(chunks.stored(stream).take(limit - events.len()));
            match events.last() {
                Some(last) if events.len() < limit && !chunks.are_last() => after = last.version,
                _ => return Ok(events),
            }
        }
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let mut page = Page { events: Vec::new(), scanned: after };
        // Look by look, so that appends wait for one at most; and not to the end of the feed, which may be far if a
        // filter hides much, because nothing here ever yields.
        let looks = SCANNED.max(limit).div_ceil(state::SCANNED);
        for _ in 0..looks {
            if !self.shared.state.lock().scan(&mut page, filter, limit) {
                break;
            }
        }
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.shared.state.lock().head())
    }

    async fn changed(&self, position: Position) {
        self.shared.head.beyond(position).await;
    }
}

/// Shows how much is kept, not what.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("head", &self.shared.state.lock().head()).finish_non_exhaustive()
    }
}
