//! Saving, finding and deleting.

use super::*;
use crate::testing::suite::dropped_after;

/// A store that says it keeps none is never asked.
pub async fn says_that_it_keeps_snapshots<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    assert!(open().await.snapshots().is_some(), "`snapshots` describes the store");
}

/// What was never saved is neither found nor deleted, and that is no error.
pub async fn nothing_saved_is_nothing_found<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    assert_eq!(latest(&store, &stream).await, None);
    assert!(!store.delete_snapshot(&stream).await.expect("nothing is deleted"));
    assert_eq!(store.delete_snapshots("Order").await.expect("nothing is deleted"), 0);
}

/// All that was saved comes back, as often as it is asked for.
pub async fn saved_snapshot_comes_back<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let snapshot = a_snapshot(&stream, 5, "{}");
    saved(&store, &snapshot).await;
    for _ in 0..3 {
        assert_eq!(latest(&store, &stream).await.as_ref(), Some(&snapshot));
    }
}

/// No byte of a state is changed, also if there are none or many.
pub async fn state_comes_back_byte_for_byte<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let every_byte: Vec<u8> = (0..=255).collect();
    for state in [Vec::new(), vec![0], every_byte.clone(), every_byte.repeat(4096)] {
        let snapshot = a_snapshot(&stream, 1, state);
        saved(&store, &snapshot).await;
        assert!(latest(&store, &stream).await == Some(snapshot), "the bytes are the same");
    }
}

/// A hash may be any 64 bits, a version any number that a stream can reach.
pub async fn numbers_come_back_to_the_last_bit<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let far = i64::MAX.unsigned_abs();
    for (number, version, hash) in [(1, 1, 0), (far - 1, 7, 1 << 63 | 1), (far, u32::MAX, u64::MAX)] {
        let (position, id) = (Position::new(number), Uuid::from_u128(u128::MAX));
        let last = LastEvent { version: Version::new(number), position, id };
        let snapshot = StoredSnapshot::new(stream.clone(), last, Schema { version, hash }, Bytes::new());
        saved(&store, &snapshot).await;
        assert_eq!(latest(&store, &stream).await, Some(snapshot));
    }
}

/// The one saved last counts, even with a lower version and another schema: the events may have been restored from a
/// copy, the program from an older version.
pub async fn last_saved_takes_the_place_of_the_one_before<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    for (version, state) in [(5, "first"), (9, "second"), (2, "third"), (2, "fourth")] {
        let mut snapshot = a_snapshot(&stream, version, state);
        snapshot.schema = Schema { version: 1, hash: version };
        saved(&store, &snapshot).await;
        assert_eq!(latest(&store, &stream).await, Some(snapshot));
    }
    assert!(store.delete_snapshot(&stream).await.expect("it is deleted"));
    assert_eq!(latest(&store, &stream).await, None, "none of the former comes up again");
}

/// Streams with similar names have a snapshot each.
pub async fn streams_are_kept_apart<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let streams =
        ["Order-1", "Order-10", "order-1", "Order-1 ", "Order-%", "Order-_", "Order-1-1", "Orders-1", "Order-é"];
    let named = |name: &str| name.parse::<StreamId>().expect("these are names of streams");
    let snapshots: Vec<_> =
        streams.iter().zip(1..).map(|(name, version)| a_snapshot(&named(name), version, *name)).collect();
    for snapshot in &snapshots {
        saved(&store, snapshot).await;
    }
    for snapshot in snapshots {
        assert_eq!(latest(&store, &snapshot.stream.clone()).await, Some(snapshot));
    }
}

/// Deleting one reports that it was there, and touches no other.
pub async fn deleted_snapshot_is_gone_and_the_others_are_not<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream, other) = (open().await, a_stream(), a_stream());
    saved(&store, &a_snapshot(&stream, 1, "{}")).await;
    saved(&store, &a_snapshot(&other, 1, "{}")).await;
    assert!(store.delete_snapshot(&stream).await.expect("it is deleted"), "there was one");
    assert_eq!(latest(&store, &stream).await, None);
    assert!(latest(&store, &other).await.is_some());
    assert!(!store.delete_snapshot(&stream).await.expect("nothing is deleted"), "there is none any more");
}

/// Deleting by type counts what it deletes, and leaves types whose names begin alike or contain a SQL wildcard.
pub async fn deleting_by_type_leaves_other_types<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let of = |kind: &str, id: u32| StreamId::new(kind, id);
    for kind in ["Order", "Orders", "Ord_r", "order", "Or%"] {
        for id in 0..3 {
            saved(&store, &a_snapshot(&of(kind, id), 1, "{}")).await;
        }
    }
    for (kind, left) in [("Ord_r", "Order"), ("Or%", "Order"), ("Order", "Orders"), ("Orders", "order")] {
        assert_eq!(store.delete_snapshots(kind).await.expect("they are deleted"), 3, "{kind}");
        for id in 0..3 {
            assert_eq!(latest(&store, &of(kind, id)).await, None, "{kind}");
            assert!(latest(&store, &of(left, id)).await.is_some(), "{left} is no {kind}");
        }
        assert_eq!(store.delete_snapshots(kind).await.expect("nothing is deleted"), 0, "{kind}");
    }
}

/// A deleted snapshot may be saved again.
pub async fn what_was_deleted_can_be_saved_again<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    for version in 1..4 {
        let snapshot = a_snapshot(&stream, version, "{}");
        saved(&store, &snapshot).await;
        assert_eq!(latest(&store, &stream).await, Some(snapshot));
        if version == 1 {
            store.delete_snapshot(&stream).await.expect("it is deleted");
        } else {
            store.delete_snapshots("Order").await.expect("it is deleted");
        }
        assert_eq!(latest(&store, &stream).await, None);
    }
}

/// A clone is the same store.
pub async fn clones_share_what_is_kept<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let snapshot = a_snapshot(&stream, 1, "{}");
    saved(&store.clone(), &snapshot).await;
    assert_eq!(latest(&store, &stream).await, Some(snapshot));
}

/// Of several writers of one stream the last wins, with nothing of the others mixed in: a concurrent reader sees one
/// whole snapshot or another.
pub async fn saves_at_the_same_time_leave_one_whole<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let is_whole = |found: &StoredSnapshot| {
        let version = found.last.version.get();
        assert!(found.state.iter().all(|byte| u64::from(*byte) == version), "the state is that of version {version}");
        assert_eq!(found.state.len() as u64, version * 100, "the state is that of version {version}");
    };
    let writers: Vec<_> = (1..9_u8)
        .map(|writer| {
            let (store, stream) = (store.clone(), stream.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let state = vec![writer; usize::from(writer) * 100];
                    saved(&store, &a_snapshot(&stream, writer.into(), state)).await;
                    tokio::task::yield_now().await;
                    is_whole(&latest(&store, &stream).await.expect("there is one"));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer sees what is whole");
    }
    is_whole(&latest(&store, &stream).await.expect("there is one"));
}

/// A save whose future is dropped was made or not, and the next one succeeds.
pub async fn dropped_saves_leave_a_whole_or_nothing<S: SnapshotStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for polls in 0..8 {
        let stream = a_stream();
        let (first, second) = (a_snapshot(&stream, 1, "first"), a_snapshot(&stream, 2, "second"));
        let done = dropped_after(polls, store.save_snapshot(first.clone())).await;
        let found = latest(&store, &stream).await;
        assert!(found == Some(first.clone()) || (found.is_none() && done.is_none()), "after {polls} polls: {found:?}");
        saved(&store, &second).await;
        assert_eq!(latest(&store, &stream).await, Some(second), "after {polls} polls");
    }
}
