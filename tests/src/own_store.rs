//! A store as a stranger would write it, from outside and over the public port alone: a database on another machine.
//! Its events are played by a store in memory, and its projections have tables of their own. Like a network it makes
//! its callers wait, before and after each call.

mod projections;

use std::future::Future;
use std::sync::Arc;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, MemoryStore, NewEvent, Page, Position,
    StoreError, StoreInfo, StreamId, Traced, Version, Visitor,
};

pub use projections::RemoteTransaction;
use projections::Tables;

/// The stranger's database.
#[derive(Clone, Debug)]
pub struct Remote {
    events: MemoryStore,
    tables: Tables,
    /// How many events it looks at for a page.
    most: usize,
}

/// The stranger's store, with the spans and metrics that all stores have.
#[must_use]
pub fn remote() -> Traced<Remote> {
    looking_at(usize::MAX)
}

/// The same, whose pages hold one event, or none if the filter hides it.
#[must_use]
pub fn sparing() -> Traced<Remote> {
    looking_at(1)
}

fn looking_at(most: usize) -> Traced<Remote> {
    let events = MemoryStore::new().enable_tracing(false).enable_metrics(false);
    Traced::over(Remote { events, tables: Tables::default(), most })
}

async fn distant<F: Future>(call: F) -> F::Output {
    tokio::task::yield_now().await;
    let answer = call.await;
    tokio::task::yield_now().await;
    answer
}

/// It keeps no snapshots.
impl SnapshotStore for Remote {}

impl EventStore for Remote {
    fn info(&self) -> StoreInfo {
        let mut info = StoreInfo::database("other_sql", "journal");
        info.server = Some((Arc::from("db.example.org"), 5432));
        info.namespace = Some(Arc::from("shop"));
        info
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        distant(self.events.inner().append(stream, expected, events)).await
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        distant(self.events.inner().fold(fold, visitor)).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        distant(self.events.inner().read_stream(stream, after, limit.min(self.most))).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let all = Filter::all();
        // Of the few that it looks at it shows what the filter does.
        let asked = if self.most < limit { &all } else { filter };
        let mut page = distant(self.events.inner().read_all(after, asked, limit.min(self.most))).await?;
        page.events.retain(|event| filter.shows(&event.event_type, event.stream.aggregate_type()));
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        distant(self.events.inner().head()).await
    }

    async fn changed(&self, position: Position) {
        self.events.inner().changed(position).await;
    }
}
