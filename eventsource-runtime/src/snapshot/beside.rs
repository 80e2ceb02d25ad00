//! Events in one store, snapshots in another.

use super::SnapshotStore;
use crate::store::{EventStore, delegate};

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
    delegate!(events: info append fold read_stream read_all head changed);
}

impl<E: EventStore, S: SnapshotStore> SnapshotStore for WithSnapshots<E, S> {
    // Not `fold_from_snapshot`: the events are elsewhere.
    delegate!(
        snapshots: snapshots save_snapshot latest_snapshot snapshot_exists delete_snapshot delete_snapshots
    );
}
