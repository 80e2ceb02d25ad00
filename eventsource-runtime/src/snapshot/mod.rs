//! Snapshots: states kept beside the events, so that a load need not replay all of them.
//!
//! An aggregate asks for them with `#[aggregate(snapshot(every = 100))]`. The repository then writes one in the
//! background whenever so many events have been appended since the last, and begins a load with it. A snapshot is never
//! trusted: one that is missing, of another schema, damaged, not of this very history, or that the store cannot give in
//! time, means that every event is replayed, and is counted in `eventsource.snapshot.reads`. The state is the same
//! either way. No trouble with a snapshot fails a command.
//!
//! [`SnapshotStore`] is open: implement it for a store of your own. One that keeps no snapshots says so in a line:
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

/// What tells states of one shape from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    /// What the aggregate says by hand, with `snapshot(version = 2)`.
    pub version: u32,
    /// What its derive makes of the fields.
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
    /// Joins what a store has read.
    #[must_use]
    pub const fn new(stream: StreamId, last: LastEvent, schema: Schema, state: Bytes) -> Self {
        Self { stream, last, schema, state }
    }
}

/// Without the state, which may hold anything.
impl fmt::Debug for StoredSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSnapshot")
            .field("stream", &self.stream)
            .field("last", &self.last)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// A [`Visitor`] that can begin with a snapshot. Users may implement it; [`SnapshotStore::fold_from_snapshot`] calls
/// it.
pub trait Restore: Visitor {
    /// Takes what was found, before the first event; says after which version the events begin that it wants to see.
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version;
}

/// A store of snapshots, at most one a stream. Open for implementation; every method has a default, which is that of a
/// store that keeps none.
///
/// Every future may be dropped at any point. Nothing here has to be durable: a snapshot that is lost costs a replay.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it keeps snapshots",
    note = "if it keeps none, add `impl SnapshotStore for {Self} {{}}`"
)]
pub trait SnapshotStore: Clone + Send + Sync + 'static {
    /// What telemetry says of the snapshots; `None`, the default, says that the store keeps none. Then nothing else
    /// here is called.
    fn snapshots(&self) -> Option<StoreInfo> {
        None
    }

    /// Keeps a snapshot in the place of the one that the stream had, whatever that was.
    fn save_snapshot(&self, snapshot: StoredSnapshot) -> impl Future<Output = Result<(), StoreError>> + Send {
        drop(snapshot);
        ready(Ok(()))
    }

    /// The snapshot that was saved last for the stream.
    fn latest_snapshot(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, StoreError>> + Send {
        let _ = stream;
        ready(Ok(None))
    }

    /// Whether there is a snapshot of the stream; by default reads it.
    fn snapshot_exists(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        async { Ok(self.latest_snapshot(stream).await?.is_some()) }
    }

    /// Deletes the stream's snapshot; whether there was one.
    fn delete_snapshot(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        let _ = stream;
        ready(Ok(false))
    }

    /// Deletes the snapshots of all aggregates of a type; how many there were.
    fn delete_snapshots(&self, aggregate_type: &str) -> impl Future<Output = Result<u64, StoreError>> + Send {
        let _ = aggregate_type;
        ready(Ok(0))
    }

    /// Shows a visitor the stream's snapshot, then the events after the version that it asks for. An error of the
    /// snapshot is the visitor's; the result is that of the events. A snapshot of another history, whose last event the
    /// stream does not have by its version, position and id, is none.
    ///
    /// By default that takes three calls: for the snapshot, which may panic and is given no more than a second; for the
    /// event with which it ends, which alone can tell one history from another; and for the events. A store that keeps
    /// both in one database may read both in one go.
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

/// The snapshot, if its last event is that of the stream: another history may have another one there, or elsewhere.
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
