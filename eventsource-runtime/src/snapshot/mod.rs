//! Snapshots: states kept beside the events, so that a load need not replay all of them.
//!
//! An aggregate asks for them with `#[aggregate(snapshot(every = 100))]`. The repository then writes one in the
//! background whenever that many events have been appended since the last, and starts a load from it. The command waits
//! for it, ten milliseconds at most. A snapshot is
//! never trusted: if it is missing, damaged, of another schema or another history, or the store cannot deliver it in
//! time, every event is replayed, which `eventsource.snapshot.reads` counts. The state is the same either way. No
//! snapshot failure fails a command.
//!
//! While two releases of a program serve one stream, the one with the higher version of the schema keeps its snapshots,
//! and the other replays; when that release is taken back, its snapshots are replaced once they are far behind.
//!
//! [`SnapshotStore`] is open: implement it for a store of your own. A store that keeps no snapshots says so in one
//! line:
//!
//! ```
//! # #[derive(Clone)]
//! # struct Mine;
//! use eventsource_runtime::snapshot::SnapshotStore;
//!
//! impl SnapshotStore for Mine {}
//! ```

mod beside;
mod error;
mod guard;
mod seal;
mod traced;

use std::fmt;
use std::future::{Future, ready};

use bytes::Bytes;
use uuid::Uuid;

pub use beside::WithSnapshots;
pub use error::SnapshotError;
pub(crate) use guard::{PATIENCE, within};

use crate::domain::StoredEvent;
use crate::store::{EventStore, Fold, Folded, Position, StoreError, StoreInfo, StreamId, Version, Visitor};

/// Tells states of one shape from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    /// The version that the aggregate sets with `snapshot(version = 2)`.
    pub version: u32,
    /// A hash that the derive makes of the fields.
    pub hash: u64,
}

/// The last event whose effect is in a state. It ties a snapshot to one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEvent {
    /// Its place in the stream.
    pub version: Version,
    /// Its place in the global feed.
    pub position: Position,
    /// Its id.
    pub id: Uuid,
}

impl LastEvent {
    pub(crate) fn of(event: &StoredEvent) -> Self {
        Self { version: event.version, position: event.position, id: event.id }
    }
}

/// A state as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSnapshot {
    /// Whose state it is.
    pub stream: StreamId,
    /// The last event in it.
    pub last: LastEvent,
    /// The shape of the state.
    pub schema: Schema,
    /// The state with its checksum. A store gives back exactly these bytes.
    pub state: Bytes,
}

impl StoredSnapshot {
    /// Combines what a store has read.
    #[must_use]
    pub const fn new(stream: StreamId, last: LastEvent, schema: Schema, state: Bytes) -> Self {
        Self { stream, last, schema, state }
    }
}

/// Omits the state, which may hold anything.
impl fmt::Debug for StoredSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSnapshot")
            .field("stream", &self.stream)
            .field("last", &self.last)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// A [`Visitor`] that can start from a snapshot. Users may implement it; [`SnapshotStore::fold_from_snapshot`] calls
/// it.
pub trait Restore: Visitor {
    /// Takes what was found, before the first event; returns the version after which it wants to see events.
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version;
}

/// A store of snapshots, at most one per stream. Open for implementation; every method has a default, that of a store
/// that keeps none.
///
/// A store around another forwards every method, the provided ones too. Without `fold_from_snapshot`, say, each load
/// makes more calls than it needs; only around two stores the default is right. [`delegate!`](crate::delegate) writes
/// the others.
///
/// Every future may be dropped at any point. Nothing here has to be durable: a lost snapshot costs a replay.
///
/// An error fails no command and no load, which replays the events instead and counts it. Only
/// [`Repository::create_snapshot`](crate::Repository::create_snapshot) and its like return it to their caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it keeps snapshots",
    note = "if it keeps none, add `impl SnapshotStore for {Self} {{}}`"
)]
pub trait SnapshotStore: Clone + Send + Sync + 'static {
    /// How telemetry describes the snapshots; `None`, the default, means that the store keeps none. Then nothing else
    /// here is called.
    fn snapshots(&self) -> Option<StoreInfo> {
        None
    }

    /// Stores a snapshot, replacing any that the stream had.
    ///
    /// # Errors
    /// The store could not be written. The snapshot that the stream had may be there still, or the new one.
    fn save_snapshot(&self, snapshot: StoredSnapshot) -> impl Future<Output = Result<(), StoreError>> + Send {
        drop(snapshot);
        ready(Ok(()))
    }

    /// The snapshot that was saved last for the stream.
    ///
    /// # Errors
    /// The store could not be read. Bytes that mean nothing are no error: the caller checks them.
    fn latest_snapshot(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, StoreError>> + Send {
        let _ = stream;
        ready(Ok(None))
    }

    /// Whether there is a snapshot of the stream; by default this reads it.
    ///
    /// # Errors
    /// The store could not be read.
    fn snapshot_exists(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        async { Ok(self.latest_snapshot(stream).await?.is_some()) }
    }

    /// Deletes the stream's snapshot and returns whether there was one.
    ///
    /// # Errors
    /// The store could not be written; the snapshot may be there or not.
    fn delete_snapshot(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        let _ = stream;
        ready(Ok(false))
    }

    /// Deletes the snapshots of all aggregates of a type and returns how many there were.
    ///
    /// # Errors
    /// The store could not be written; any of the snapshots may be left.
    fn delete_snapshots(&self, aggregate_type: &str) -> impl Future<Output = Result<u64, StoreError>> + Send {
        let _ = aggregate_type;
        ready(Ok(0))
    }

    /// Passes the stream's snapshot to a visitor, then the events after the version that it asks for. An error of the
    /// snapshot goes to the visitor; the result is that of the events. If the stream does not have the snapshot's last
    /// event, by its version, position and id, the snapshot is of another history and counts as none.
    ///
    /// By default this takes three calls: for the snapshot, which may panic and gets no more than a second; for its
    /// last event, which alone can tell one history from another; and for the events. A store that keeps both in one
    /// database may read both at once.
    ///
    /// # Errors
    /// The events could not be read, or nothing could tell whether the snapshot is of their history.
    fn fold_from_snapshot<V: Restore>(
        &self,
        fold: Fold,
        mut visitor: V,
    ) -> impl Future<Output = Result<Folded<V>, StoreError>> + Send
    where
        Self: EventStore,
    {
        async move {
            let found = within(PATIENCE, "read a snapshot", self.latest_snapshot(&fold.stream)).await;
            let found = match found {
                Ok(found) => Ok(of_history(self, &fold.stream, found).await?),
                Err(error) => Err(error),
            };
            let after = visitor.restore(found);
            self.fold(Fold { after, ..fold }, visitor).await
        }
    }
}

/// The snapshot, if its last event is in the stream: another history may have a different one there, or elsewhere.
pub(crate) async fn of_history<S: EventStore>(
    store: &S,
    stream: &StreamId,
    found: Option<StoredSnapshot>,
) -> Result<Option<StoredSnapshot>, StoreError> {
    let Some(snapshot) = found else { return Ok(None) };
    let before = Version::new(snapshot.last.version.get().saturating_sub(1));
    let last = store.read_stream(stream, before, 1).await?;
    Ok(last.first().is_some_and(|last| LastEvent::of(last) == snapshot.last).then_some(snapshot))
}
