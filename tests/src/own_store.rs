//! A store as a stranger would write it, from outside and over the public port alone: a database on another machine,
//! played by a store in memory. Like a network it makes its callers wait, before and after each call.

use std::future::Future;
use std::sync::Arc;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{
    Applied, Batch, Claim, DeadLetter, Lease, Letters, Partition, Projection, ProjectionError, ProjectionStore,
};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, Memory, MemoryStore, NewEvent, Page,
    Position, StoreError, StoreInfo, StreamId, Traced, Version, Visitor,
};
use eventsource_runtime::telemetry::Scope;
use uuid::Uuid;

/// The stranger's database, and how many events it looks at for a page.
#[derive(Clone, Debug)]
pub struct Remote(MemoryStore, usize);

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
    Traced::over(Remote(MemoryStore::new().enable_tracing(false).enable_metrics(false), most))
}

async fn distant<F: Future>(call: F) -> F::Output {
    tokio::task::yield_now().await;
    let answer = call.await;
    tokio::task::yield_now().await;
    answer
}

/// A letter out of the columns of its row.
fn read_back(row: DeadLetter) -> DeadLetter {
    let place = (row.stream, row.version, row.position);
    DeadLetter::new(place, row.event_type, (row.error_type, row.reason), row.retries, row.at)
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
        distant(self.0.inner().append(stream, expected, events)).await
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        distant(self.0.inner().fold(fold, visitor)).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        distant(self.0.inner().read_stream(stream, after, limit.min(self.1))).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let all = Filter::all();
        // Of the few that it looks at it shows what the filter does.
        let asked = if self.1 < limit { &all } else { filter };
        let mut page = distant(self.0.inner().read_all(after, asked, limit.min(self.1))).await?;
        page.events.retain(|event| filter.shows(&event.event_type, event.stream.aggregate_type()));
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        distant(self.0.inner().head()).await
    }

    async fn changed(&self, position: Position) {
        self.0.inner().changed(position).await;
    }
}

/// The stranger runs projections where the crate's own store in memory does.
impl ProjectionStore for Remote {
    type Backend = Memory;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        distant(self.0.inner().open_projection(projection, partitions, after)).await
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        distant(self.0.inner().lease_projection(partition, claim)).await
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        distant(self.0.inner().apply_batch(projection, batch, scope)).await
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        distant(self.0.inner().reset_projection(projection, token)).await
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let rows = distant(self.0.inner().dead_letters(projection, letters)).await?;
        Ok(rows.into_iter().map(read_back).collect())
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        distant(self.0.inner().settle_dead_letter(projection, position, event, scope)).await
    }
}
