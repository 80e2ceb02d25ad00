//! Events in one store, snapshots in another.

use super::{SnapshotStore, StoredSnapshot};
use crate::store::{EventStore, StoreError, StoreInfo, StreamId, handed_on};

/// Keeps events in one store and snapshots in another; made by
/// [`Repository::with_snapshots`](crate::Repository::with_snapshots).
///
/// Nothing ties the two together: a snapshot that does not belong to the events is noticed when it is read.
#[derive(Clone, Debug)]
pub struct WithSnapshots<E, S> {
    events: E,
    snapshots: S,
}

impl<E, S> WithSnapshots<E, S> {
    /// Joins two stores.
    pub const fn new(events: E, snapshots: S) -> Self {
        Self { events, snapshots }
    }

    /// The store of the events.
    pub const fn event_store(&self) -> &E {
        &self.events
    }

    /// The store of the snapshots.
    pub const fn snapshot_store(&self) -> &S {
        &self.snapshots
    }
}

impl<E: EventStore, S: SnapshotStore> EventStore for WithSnapshots<E, S> {
    handed_on!(events: info append fold read_stream read_all head changed);
}

impl<E: EventStore, S: SnapshotStore> SnapshotStore for WithSnapshots<E, S> {
    fn snapshots(&self) -> Option<StoreInfo> {
        self.snapshots.snapshots()
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(snapshot).await
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        self.snapshots.latest_snapshot(stream).await
    }

    async fn snapshot_exists(&self, stream: &StreamId) -> Result<bool, StoreError> {
        self.snapshots.snapshot_exists(stream).await
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        self.snapshots.delete_snapshot(stream).await
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        self.snapshots.delete_snapshots(aggregate_type).await
    }
}
