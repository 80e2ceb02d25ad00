//! Events in one store, snapshots in another.

use std::future::Future;

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

    fn save_snapshot(&self, snapshot: StoredSnapshot) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.snapshots.save_snapshot(snapshot)
    }

    fn latest_snapshot(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, StoreError>> + Send {
        self.snapshots.latest_snapshot(stream)
    }

    fn snapshot_exists(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.snapshots.snapshot_exists(stream)
    }

    fn delete_snapshot(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.snapshots.delete_snapshot(stream)
    }

    fn delete_snapshots(&self, aggregate_type: &str) -> impl Future<Output = Result<u64, StoreError>> + Send {
        self.snapshots.delete_snapshots(aggregate_type)
    }
}
