//! What every snapshot store must do. [`snapshot_store_suite!`](crate::snapshot_store_suite) makes a test of each
//! function.

#![allow(clippy::missing_panics_doc, reason = "a test says no by a panic")]
#![allow(clippy::wildcard_imports, reason = "the parts of the suite share its tools")]

mod folding;
mod keeping;

use bytes::Bytes;
use uuid::Uuid;

pub use folding::*;
pub use keeping::*;

use super::a_stream;
use crate::snapshot::{LastEvent, Schema, SnapshotStore, StoredSnapshot};
use crate::store::{Position, StreamId, Version};

/// Makes a module of tests that run the suite on a snapshot store. The closure is called for each test and opens an
/// empty store. With `with_events` the store keeps events as well, and the two together are tested too.
///
/// ```no_run
/// use eventsource_runtime::snapshot_store_suite;
/// use eventsource_runtime::store::MemoryStore;
///
/// snapshot_store_suite!(memory, || async { MemoryStore::new() }, with_events);
/// ```
#[macro_export]
macro_rules! snapshot_store_suite {
    ($name:ident, $open:expr $(, $with_events:ident)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the closure may need nothing of its surroundings")]
            use super::*;
            $crate::snapshot_store_suite! { @cases [$crate::suite_tests] [snapshot_store $open] }
            $($crate::snapshot_store_suite! { @$with_events [$crate::suite_tests] [snapshot_store $open] })?
        }
    };
    // Hands the names of all cases to another macro, behind `@` and what the caller wishes to get back.
    (@cases [$($macro:tt)+] $back:tt) => {
        $($macro)+! { @ $back
            says_that_it_keeps_snapshots
            nothing_saved_is_nothing_found
            saved_snapshot_comes_back
            state_comes_back_byte_for_byte
            numbers_come_back_to_the_last_bit
            last_saved_takes_the_place_of_the_one_before
            streams_are_kept_apart
            deleted_snapshot_is_gone_and_the_others_are_not
            deleting_by_type_leaves_other_types
            what_was_deleted_can_be_saved_again
            clones_share_what_is_kept
            saves_at_the_same_time_leave_one_whole
            dropped_saves_leave_a_whole_or_nothing
        }
    };
    (@with_events [$($macro:tt)+] $back:tt) => {
        $($macro)+! { @ $back
            fold_begins_where_the_snapshot_ends
            fold_without_a_snapshot_shows_every_event
            fold_with_a_snapshot_of_another_history_shows_every_event
            fold_with_a_snapshot_finds_an_earlier_command
            dropped_folds_leave_the_store_usable
        }
    };
}

fn a_snapshot(stream: &StreamId, version: u64, state: impl Into<Bytes>) -> StoredSnapshot {
    let last =
        LastEvent { version: Version::new(version), position: Position::new(version * 10 + 7), id: Uuid::now_v7() };
    StoredSnapshot::new(stream.clone(), last, Schema { version: 3, hash: 0x0123_4567_89ab_cdef }, state.into())
}

async fn saved<S: SnapshotStore>(store: &S, snapshot: &StoredSnapshot) {
    store.save_snapshot(snapshot.clone()).await.expect("a snapshot is saved");
}

async fn latest<S: SnapshotStore>(store: &S, stream: &StreamId) -> Option<StoredSnapshot> {
    let latest = store.latest_snapshot(stream).await.expect("a snapshot can be read");
    let exists = store.snapshot_exists(stream).await.expect("a snapshot can be looked for");
    assert_eq!(exists, latest.is_some(), "there is one if it can be read");
    latest
}
