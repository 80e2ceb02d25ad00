//! What every event store must do. [`event_store_suite!`](crate::event_store_suite) makes a test of each function.

#![allow(clippy::missing_panics_doc, reason = "a test says no by a panic")]
#![allow(clippy::wildcard_imports, reason = "the parts of the suite share its tools")]

mod append;
mod concurrent;
mod expect;
mod feed;
mod fold;
mod idempotent;
mod kept;
mod live;
mod random;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use append::*;
pub use concurrent::*;
pub use expect::*;
pub use feed::*;
pub use fold::*;
pub use idempotent::*;
pub use kept::*;
pub use live::*;
pub use random::*;
pub use stream::*;

use super::{a_stream, dropped_after};
use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, NewEvent, Origin, Position, StreamId, Version,
};

/// Makes a module of tests that run the suite on a store. The closure is called for each test and opens an empty store.
///
/// ```no_run
/// use eventsource_runtime::event_store_suite;
/// use eventsource_runtime::store::MemoryStore;
///
/// event_store_suite!(memory, || async { MemoryStore::new() });
/// ```
#[macro_export]
macro_rules! event_store_suite {
    ($name:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the closure may need nothing of its surroundings")]
            use super::*;
            $crate::event_store_suite! { @cases [$crate::suite_tests] [event_store $open] }
        }
    };
    // Hands the names of all cases to another macro, behind `@` and what the caller wishes to get back.
    (@cases [$($macro:tt)+] $back:tt) => {
        $($macro)+! { @ $back
            no_stream_admits_no_stream
            no_stream_refuses_a_stream
            exists_admits_a_stream
            exists_refuses_no_stream
            exact_refuses_an_older_version
            exact_refuses_a_newer_version
            exact_refuses_no_stream
            exact_is_compared_to_the_last_bit
            exact_start_admits_no_stream
            exact_start_refuses_a_stream
            conflict_names_the_stream
            conflict_tells_what_was_expected
            conflict_tells_the_actual_version
            conflict_stores_nothing
            refused_events_may_be_appended_later
            stream_ids_differ_to_the_last_character
            aggregates_of_two_types_may_share_an_id
            append_returns_the_last_version
            append_returns_the_last_position
            append_takes_consecutive_positions
            append_counts_its_events
            append_is_all_or_nothing
            appending_nothing_tells_where_the_stream_stands
            appending_nothing_checks_the_expectation
            too_large_is_refused
            too_much_at_once_is_refused
            too_large_takes_its_neighbours_along
            nul_in_a_stream_id_is_refused
            nul_in_an_event_type_is_refused
            empty_aggregate_type_is_refused
            hyphen_in_an_aggregate_type_is_refused
            long_stream_id_is_refused
            longest_stream_id_is_kept
            largest_payload_is_kept
            payload_is_kept_byte_for_byte
            event_type_is_kept
            schema_version_is_kept
            recorded_at_is_kept
            correlation_is_kept
            causation_is_kept
            metadata_is_kept
            trace_parent_is_kept
            trace_state_is_kept
            what_is_absent_stays_absent
            events_of_one_append_keep_what_is_theirs
            feed_shows_what_the_stream_shows
            fold_shows_what_the_stream_shows
            retried_append_returns_the_first_result
            retried_append_says_so
            retried_append_is_not_held_to_its_expectation
            retried_append_stores_nothing
            retried_append_may_bear_another_time
            known_id_with_another_payload_is_a_mismatch
            known_id_with_another_type_is_a_mismatch
            known_id_with_another_schema_version_is_a_mismatch
            known_ids_in_another_order_are_a_mismatch
            known_id_in_another_stream_is_a_mismatch
            known_id_among_new_ones_is_a_mismatch
            repeated_id_in_one_append_is_a_mismatch
            mismatch_names_the_event
            fold_begins_after_a_version
            fold_goes_on_over_pages
            fold_ends_where_the_visitor_has_enough
            fold_counts_what_it_shows
            fold_of_no_stream_shows_nothing
            fold_after_the_end_shows_nothing
            fold_finds_an_earlier_append
            fold_tells_where_an_earlier_append_ended
            fold_shows_nothing_of_what_was_done_before
            fold_shows_nothing_of_a_command_that_it_does_not_find
            earlier_append_is_of_its_stream_alone
            unknown_first_event_hinders_no_fold
            stream_page_has_its_limit
            no_events_are_read_where_none_are_asked_for
            feed_is_in_order_of_position
            feed_goes_by_no_clock
            feed_page_has_its_limit
            feed_is_not_passed_over_where_no_events_are_asked_for
            feed_passes_over_what_it_hides
            filter_selects_event_types
            filter_selects_aggregate_types
            filter_selects_what_both_lists_name
            filter_of_no_types_shows_nothing
            filter_compares_whole_names
            filter_without_a_limit_begins_where_it_is_asked_to
            head_of_an_empty_store_is_the_start
            head_is_the_last_position
            head_stays_where_an_append_is_refused
            changed_returns_at_once_where_there_is_more
            changed_wakes_all_who_wait
            writers_of_one_stream_take_turns
            conflict_among_many_is_one_append_s_own
            append_made_twice_at_once_is_stored_once
            readers_see_whole_appends
            subscription_has_neither_gap_nor_duplicate
            filtered_subscription_has_neither_gap_nor_duplicate
            dropped_futures_leave_the_store_consistent
            histories_are_linearizable
            random_calls_do_what_the_model_does
        }
    };
}

/// Longer than the busiest machine takes to append and to show an event.
const STANDSTILL: Duration = Duration::from_mins(1);

fn origin() -> Origin {
    Origin::at(Timestamp::from_micros(1_792_000_000_123_456))
}

pub(super) fn an_event(event_type: &'static str, payload: impl Into<Vec<u8>>) -> NewEvent {
    let payload = payload.into().into();
    NewEvent { id: Uuid::now_v7(), event_type, schema_version: 1, payload, origin: Arc::new(origin()) }
}

/// Events with their ordinals as payloads.
fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|ordinal| an_event("Placed", ordinal.to_string())).collect()
}

async fn appended<S: EventStore>(store: &S, stream: &StreamId, events: Vec<NewEvent>) -> Appended {
    store.append(stream, ExpectedVersion::Any, events).await.expect("an append without expectations is made")
}

/// A stream of that many events.
async fn a_stream_of<S: EventStore>(store: &S, count: usize) -> StreamId {
    let stream = a_stream();
    appended(store, &stream, events(count)).await;
    stream
}

/// A whole stream; also checks that its versions are dense.
async fn stored<S: EventStore>(store: &S, stream: &StreamId) -> Vec<StoredEvent> {
    stored_after(store, stream, Version::START).await
}

/// A stream after a version, page by page: it is as it was when it had no more.
async fn stored_after<S: EventStore>(store: &S, stream: &StreamId, after: Version) -> Vec<StoredEvent> {
    let (mut all, mut last) = (Vec::new(), after);
    loop {
        let page = store.read_stream(stream, last, 100).await.expect("a stream can be read");
        if page.is_empty() {
            return all;
        }
        for event in page {
            assert_eq!(event.version.get(), last.get() + 1, "versions are dense");
            last = event.version;
            all.push(event);
        }
    }
}

/// The last event of a stream that has one.
async fn last<S: EventStore>(store: &S, stream: &StreamId) -> StoredEvent {
    stored(store, stream).await.pop().expect("the stream has events")
}

/// The whole feed; also checks that its positions ascend.
pub(super) async fn feed<S: EventStore>(store: &S, filter: &Filter, limit: usize) -> Vec<StoredEvent> {
    feed_after(store, Position::START, filter, limit).await.0
}

/// The feed after a position, page by page, and how far it was looked at.
async fn feed_after<S: EventStore>(
    store: &S,
    mut after: Position,
    filter: &Filter,
    limit: usize,
) -> (Vec<StoredEvent>, Position) {
    let (mut all, mut last) = (Vec::new(), after);
    loop {
        let page = store.read_all(after, filter, limit).await.expect("the feed can be read");
        for event in page.events {
            assert!(event.position > last, "positions ascend");
            assert!(event.position <= page.scanned, "what is shown was looked at");
            last = event.position;
            all.push(event);
        }
        if page.scanned == after {
            return (all, after);
        }
        assert!(page.scanned > after, "a page does not go back");
        after = page.scanned;
    }
}

fn is_mismatch(result: &Result<Appended, AppendError>) -> bool {
    matches!(result, Err(AppendError::IdempotencyMismatch { .. }))
}

fn is_conflict(result: &Result<Appended, AppendError>) -> bool {
    matches!(result, Err(AppendError::Conflict(_)))
}
