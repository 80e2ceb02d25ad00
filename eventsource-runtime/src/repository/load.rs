//! Loads without a command.

use super::replay::Replay;
use super::steps::failed;
use super::{Loaded, Repository};
use crate::domain::Aggregate;
use crate::snapshot::SnapshotStore;
use crate::store::{EventStore, StoreError, StreamId, Version};
use crate::telemetry::names;

impl<A: Aggregate, S: EventStore + SnapshotStore, V: Send + Sync + 'static> Repository<A, S, V> {
    /// The aggregate's state and version; the default state and 0 if it has no events.
    ///
    /// # Errors
    /// The store failed, or an event can no longer be read.
    pub async fn load(&self, id: &A::Id) -> Result<Loaded<A>, StoreError> {
        let stream = StreamId::of::<A>(id);
        let replay = self.replay(&stream, Box::default(), None, self.metrics).await?;
        Ok(replay.into_loaded())
    }

    /// The aggregate as it was at a version: its state after that many events, read from the first one on, without a
    /// snapshot. If it has fewer, this is what it is now. For people who look at what happened: on PostgreSQL a load
    /// that ends in the middle of a long stream costs a connection of the pool.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/account.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let accounts = Repository::<Account, _>::new(MemoryStore::new());
    /// let id = "ada".to_owned();
    /// accounts.append(&id, Version::START, [Deposited { cents: 500 }, Deposited { cents: 70 }]).await?;
    ///
    /// assert_eq!(accounts.load_at(&id, 1).await?.state.cents, 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store failed, or an event up to there can no longer be read.
    pub async fn load_at(&self, id: &A::Id, version: impl Into<Version>) -> Result<Loaded<A>, StoreError> {
        let (stream, until) = (StreamId::of::<A>(id), version.into());
        let mut replay = Box::new(Replay { until: Some(until), ..Replay::default() });
        if until > Version::START {
            replay = self.replay(&stream, replay, None, self.metrics).await?;
        }
        Ok(replay.into_loaded())
    }

    /// Whether the aggregate has any events.
    ///
    /// # Errors
    /// The store failed.
    pub async fn exists(&self, id: &A::Id) -> Result<bool, StoreError> {
        let stream = StreamId::of::<A>(id);
        let span = self.span(names::AGGREGATE_EXISTS, &stream, &mut |_| ());
        let found = span.run(self.store.read_stream(&stream, Version::START, 1)).await;
        match found {
            Ok(events) => {
                let exists = !events.is_empty();
                span.record(&mut |later| later.flag(names::EVENTSOURCE_AGGREGATE_EXISTS, exists));
                span.succeed();
                Ok(exists)
            }
            Err(error) => Err(failed((names::AGGREGATE_EXISTS, span), error, StoreError::error_type)),
        }
    }
}
