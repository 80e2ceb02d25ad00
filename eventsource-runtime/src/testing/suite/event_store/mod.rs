//! What every event store has to do. [`event_store_suite!`](crate::event_store_suite) makes a test of each function.

#![allow(clippy::missing_panics_doc, reason = "a test says no by a panic")]
#![allow(clippy::wildcard_imports, reason = "the parts of the suite share its tools")]

mod append;
mod concurrent;
mod idempotent;
mod read;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use uuid::Uuid;

pub use append::*;
pub use concurrent::*;
pub use idempotent::*;
pub use read::*;

use crate::clock::Timestamp;
use crate::domain::{Metadata, StoredEvent};
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
            $crate::event_store_suite! { @ $open;
                admits_what_is_expected
                conflict_tells_expected_and_actual
                versions_are_dense
                append_is_all_or_nothing
                appending_nothing_checks_the_expectation
                too_large_is_refused_before_anything_is_stored
                payload_comes_back_byte_for_byte
                envelope_comes_back
                retried_append_returns_the_first_result
                known_id_with_other_content_is_a_mismatch
                known_id_in_another_stream_is_a_mismatch
                known_id_among_new_ones_is_a_mismatch
                repeated_id_in_one_batch_is_a_mismatch
                fold_shows_the_events_after_a_version
                fold_stops_where_the_visitor_stops
                fold_finds_an_earlier_command
                stream_is_read_in_pages
                feed_is_in_order_of_position
                feed_shows_what_the_filter_shows
                head_is_the_last_position
                writers_of_one_stream_take_turns
                changed_wakes_who_waits
                subscription_has_neither_gap_nor_duplicate
                dropped_futures_leave_the_store_consistent
            }
        }
    };
    (@ $open:expr; $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                $crate::testing::run($crate::testing::suite::event_store::$test($open));
            }
        )*
    };
}

/// A stream that no other test has.
fn a_stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7())
}

fn origin() -> Origin {
    Origin::at(Timestamp::from_micros(1_792_000_000_123_456))
}

fn an_event(event_type: &'static str, payload: impl Into<Vec<u8>>) -> NewEvent {
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

/// A whole stream; on the way, that its versions are dense.
async fn stored<S: EventStore>(store: &S, stream: &StreamId) -> Vec<StoredEvent> {
    let mut all: Vec<StoredEvent> = Vec::new();
    loop {
        let after = Version::new(all.len() as u64);
        let page = store.read_stream(stream, after, 100).await.expect("a stream can be read");
        if page.is_empty() {
            return all;
        }
        for event in page {
            all.push(event);
            assert_eq!(all.last().map(|event| event.version.get()), Some(all.len() as u64), "versions are dense");
        }
    }
}

/// The whole feed; on the way, that its positions ascend.
async fn feed<S: EventStore>(store: &S, filter: &Filter, limit: usize) -> Vec<StoredEvent> {
    let (mut all, mut after) = (Vec::<StoredEvent>::new(), Position::START);
    loop {
        let page = store.read_all(after, filter, limit).await.expect("the feed can be read");
        assert!(page.events.len() <= limit, "a page is no longer than was asked");
        for event in page.events {
            assert!(event.position > all.last().map_or(Position::START, |last| last.position), "positions ascend");
            assert!(event.position <= page.scanned, "what is shown was looked at");
            all.push(event);
        }
        if page.scanned == after {
            return all;
        }
        assert!(page.scanned > after, "a page does not go back");
        after = page.scanned;
    }
}

fn is_mismatch(result: &Result<Appended, AppendError>, of: Uuid) -> bool {
    matches!(result, Err(AppendError::IdempotencyMismatch { id, .. }) if *id == of)
}

/// Polls a future so many times and drops it; what it returned, if it was done by then.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|task| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll was the last: what would wake the future later does not matter any more.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn with_metadata(origin: &Origin) -> Origin {
    Origin {
        correlation_id: Some(Uuid::now_v7()),
        causation_id: Some(Uuid::now_v7()),
        metadata: Metadata::from_iter([("tenant", "north \"1\""), ("zero", "\0")]),
        trace_context: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().ok(),
        ..origin.clone()
    }
}
