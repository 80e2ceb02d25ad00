//! Snapshot and events in one read, for stores that keep both.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::*;
use crate::clock::Timestamp;
use crate::domain::EventRef;
use crate::snapshot::Restore;
use crate::store::{Appended, EventStore, ExpectedVersion, Fold, Folded, NewEvent, Origin, StoreError, Visitor};
use crate::testing::suite::dropped_after;
use crate::testing::suite::event_store::an_event;

/// Notes what it is shown, and begins at the end of a snapshot, as a repository does.
#[derive(Default)]
struct Noting {
    found: Vec<Option<StoredSnapshot>>,
    versions: Vec<u64>,
}

impl Visitor for Noting {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        assert_eq!(self.found.len(), 1, "the snapshot comes before the events");
        self.versions.push(event.version.get());
        ControlFlow::Continue(())
    }
}

impl Restore for Noting {
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        let found = found.expect("the snapshot can be read");
        let version = found.as_ref().map_or(Version::START, |snapshot| snapshot.last.version);
        self.found.push(found);
        version
    }
}

fn fold(stream: &StreamId) -> Fold {
    Fold { stream: stream.clone(), after: Version::START, first_event: None }
}

/// Some events, and the id of each.
async fn appended<S: EventStore>(store: &S, stream: &StreamId, count: usize) -> (Vec<Uuid>, Appended) {
    // Appends are told apart by their cause.
    let origin = Arc::new(Origin { causation_id: Some(Uuid::now_v7()), ..Origin::at(Timestamp::from_micros(1)) });
    let event = |_| NewEvent { origin: Arc::clone(&origin), ..an_event("Placed", "{}") };
    let events: Vec<_> = (0..count).map(event).collect();
    let ids = events.iter().map(|event| event.id).collect();
    (ids, store.append(stream, ExpectedVersion::Any, events).await.expect("the events are appended"))
}

/// The snapshot at a stream's event, by its position and id.
async fn snapshot_at<S: EventStore>(store: &S, stream: &StreamId, version: u64) -> StoredSnapshot {
    let events = store.read_stream(stream, Version::new(version - 1), 1).await.expect("the stream can be read");
    StoredSnapshot::new(
        stream.clone(),
        LastEvent::of(&events[0]),
        Schema { version: 1, hash: 1 },
        Bytes::from_static(b"{}"),
    )
}

/// The visitor gets the snapshot, and then the events after the version that it asks for, and no others.
pub async fn fold_begins_where_the_snapshot_ends<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &a_stream(), 3).await;
    appended(&store, &stream, 6).await;
    for version in [4, 6, 1] {
        let snapshot = snapshot_at(&store, &stream, version).await;
        saved(&store, &snapshot).await;
        let Folded { visitor, visited, earlier } =
            store.fold_from_snapshot(fold(&stream), Noting::default()).await.expect("the stream can be read");
        assert_eq!(visitor.found, [Some(snapshot)]);
        assert_eq!(visitor.versions, (version + 1..=6).collect::<Vec<_>>());
        assert_eq!((visited, earlier), (6 - version, None));
    }
}

/// If there is none, the visitor is told so, and sees the whole stream; also an empty one, whose id need not be valid
/// for events.
pub async fn fold_without_a_snapshot_shows_every_event<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream, other) = (open().await, a_stream(), a_stream());
    appended(&store, &stream, 3).await;
    appended(&store, &other, 3).await;
    saved(&store, &snapshot_at(&store, &other, 2).await).await;
    let with_nul = StreamId::new("Order", "a\u{0}b");
    for (stream, versions) in [(&stream, vec![1, 2, 3]), (&a_stream(), Vec::new()), (&with_nul, Vec::new())] {
        assert!(!store.snapshot_exists(stream).await.expect("it can be looked for"), "{stream}");
        let folded = store.fold_from_snapshot(fold(stream), Noting::default()).await.expect("the stream can be read");
        assert_eq!(folded.visitor.found, [None]);
        assert_eq!(folded.visitor.versions, versions);
    }
}

/// After a restore of the database, the stream may be as long as before and end at the same position, with other
/// events.
pub async fn fold_with_a_snapshot_of_another_history_shows_every_event<S: EventStore + SnapshotStore>(
    open: impl AsyncFn() -> S,
) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, 3).await;
    let own = snapshot_at(&store, &stream, 2).await;
    let other_event = LastEvent { id: Uuid::now_v7(), ..own.last };
    let not_there = LastEvent { version: Version::new(4), ..own.last };
    let other_place = LastEvent { position: Position::new(own.last.position.get() + 1), ..own.last };
    for last in [other_event, not_there, other_place] {
        saved(&store, &StoredSnapshot { last, ..own.clone() }).await;
        let folded = store.fold_from_snapshot(fold(&stream), Noting::default()).await.expect("the stream can be read");
        assert_eq!((folded.visitor.found, folded.visitor.versions), (vec![None], vec![1, 2, 3]), "{last:?}");
    }
}

/// A command that was handled before is found whatever the snapshot holds.
pub async fn fold_with_a_snapshot_finds_an_earlier_command<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let (ids, first) = appended(&store, &stream, 2).await;
    let (later, _) = appended(&store, &stream, 3).await;
    saved(&store, &snapshot_at(&store, &stream, 4).await).await;
    let folded = |id| store.fold_from_snapshot(Fold { first_event: Some(id), ..fold(&stream) }, Noting::default());
    assert_eq!(folded(ids[0]).await.expect("the stream can be read").earlier.map(|it| it.version), Some(first.version));
    let other = folded(Uuid::now_v7()).await.expect("the stream can be read");
    assert_eq!((other.earlier, other.visitor.versions), (None, vec![5]));
    assert!(folded(later[0]).await.expect("the stream can be read").earlier.is_some());
}

/// A read whose future is dropped leaves a usable store.
pub async fn dropped_folds_leave_the_store_usable<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, 3).await;
    saved(&store, &snapshot_at(&store, &stream, 2).await).await;
    for polls in 0..12 {
        drop(dropped_after(polls, store.fold_from_snapshot(fold(&stream), Noting::default())).await);
        let (_, made) = appended(&store, &stream, 1).await;
        let snapshot = snapshot_at(&store, &stream, made.version.get()).await;
        saved(&store, &snapshot).await;
        let folded = store.fold_from_snapshot(fold(&stream), Noting::default()).await.expect("the stream can be read");
        assert_eq!((folded.visitor.found, folded.visited), (vec![Some(snapshot)], 0), "after {polls} polls");
    }
}
