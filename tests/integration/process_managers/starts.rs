//! What a manager reads of the past when it starts.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Lease, Partition, ProjectionStore};
use eventsource_runtime::store::{EventStore, ExpectedVersion, NewEvent, Origin, StreamId};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::shipping::{OrderStatus, TIME_TO_PAY, commands};
use uuid::Uuid;

use super::{Moved, all_events, place, quiet, runner, status};
use crate::sqlite;

/// Far more than a start may read for nothing.
const PAST: usize = 5000;
const PATIENCE: Duration = Duration::from_mins(1);

/// Events of processes that were over long ago.
pub(super) async fn pass_time(store: &Faulty) {
    let stream = StreamId::new("Shipping", Uuid::now_v7());
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    for _ in 0..PAST / 500 {
        let event = || NewEvent {
            id: Uuid::now_v7(),
            event_type: "Forgotten",
            schema_version: 1,
            payload: "{}".into(),
            origin: Arc::clone(&origin),
        };
        let events = (0..500).map(|_| event()).collect();
        store.append(&stream, ExpectedVersion::Any, events).await.unwrap();
    }
}

/// Waits until it is written down that nothing before a position is put off any more.
pub(super) async fn written_down<S: ProjectionStore>(store: &S, position: usize) {
    let look = Claim::new(Uuid::nil(), "nobody", Duration::ZERO);
    let timer = Partition::whole("process_timer.Shipping");
    let is_there = |lease: Lease| lease.checkpoint.get() >= position as u64;
    let found = async {
        while !store.lease_projection(timer, look.clone()).await.is_ok_and(is_there) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it is written down");
}

async fn cancelled(store: &Faulty, order: Uuid) {
    let cancelled = async {
        while status(store, order).await != OrderStatus::Cancelled("NotPaidInTime".into()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, cancelled).await.expect("the time to pay is over");
}

#[tokio::test]
async fn a_start_reads_what_is_still_put_off_and_not_the_past() {
    let (store, clock) = (Faulty::default(), Arc::new(Moved::default()));
    let start = || runner(&store).with_clock(clock.clone()).spawn();
    let (bus, old, new) = (commands(&store), Uuid::now_v7(), Uuid::now_v7());
    pass_time(&store).await;
    let managers = start();
    bus.dispatch(place(old, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    written_down(&store, PAST).await;
    pass_time(&store).await;
    managers.shutdown().await.unwrap();

    // What was put off before all that has passed is there.
    let managers = start();
    clock.pass(TIME_TO_PAY);
    cancelled(&store, old).await;
    written_down(&store, 2 * PAST).await;
    managers.shutdown().await.unwrap();

    // And once it is recorded, the past is not read again.
    let before = store.shown();
    let managers = start();
    bus.dispatch(place(new, "Grace", "Navy Yard")).await.unwrap();
    quiet(&managers, &store).await;
    clock.pass(TIME_TO_PAY);
    cancelled(&store, new).await;
    managers.shutdown().await.unwrap();
    let read = store.shown() - before;
    assert!(read < 2000, "{read} events were read by a start");
}

/// The orders that a payment was asked for, as often as it was, and the placed ones, both in order of the feed.
async fn asked_of_placed<S: EventStore>(store: &S) -> (Vec<String>, Vec<String>) {
    let events = all_events(store).await;
    let of = |name: &str| {
        let named = events.iter().filter(|event| *event.event_type == *name);
        named.map(|event| event.stream.aggregate_id().to_owned()).collect()
    };
    (of("PaymentAsked"), of("OrderPlaced"))
}

async fn place_one<S: EventStore + SnapshotStore>(store: &S) -> Position {
    commands(store).dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap().position
}

async fn begins_now<S: ProjectionStore + SnapshotStore>(store: S) {
    for _ in 0..3 {
        place_one(&store).await;
    }
    let managers = runner(&store).begin_now().spawn();
    managers.wait_for(Position::new(3)).await.unwrap();
    assert!(asked_of_placed(&store).await.0.is_empty(), "that is the past");
    place_one(&store).await;
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    let (asked, placed) = asked_of_placed(&store).await;
    assert_eq!(asked, placed[3..]);

    // It is new no more: what comes while it is away is not the past, and nothing is done twice.
    place_one(&store).await;
    for _ in 0..2 {
        let managers = runner(&store).begin_now().spawn();
        quiet(&managers, &store).await;
        managers.shutdown().await.unwrap();
        let (asked, placed) = asked_of_placed(&store).await;
        assert_eq!(asked, placed[3..]);
    }
}

#[tokio::test]
async fn a_new_manager_that_begins_now_leaves_the_past_alone() {
    begins_now(MemoryStore::new()).await;
    begins_now(sqlite().await).await;
}

/// In memory nobody waits to be told the head.
#[tokio::test]
async fn what_is_committed_after_the_start_is_not_the_past() {
    let store = MemoryStore::new();
    place_one(&store).await;
    let managers = runner(&store).begin_now().spawn();
    place_one(&store).await;
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    let (asked, placed) = asked_of_placed(&store).await;
    assert_eq!(asked, placed[1..]);
}

/// A manager whose first checkpoint is the start has one.
#[tokio::test]
async fn one_that_began_with_an_empty_store_has_begun() {
    let store = sqlite().await;
    let managers = runner(&store).begin_now().spawn();
    let (part, look) =
        (Partition::whole("process_manager.Shipping"), Claim::new(Uuid::nil(), "nobody", Duration::ZERO));
    let has_begun = async {
        while store.lease_projection(part, look.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, has_begun).await.expect("it begins");
    managers.shutdown().await.unwrap();
    place_one(&store).await;
    let managers = runner(&store).begin_now().spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(asked_of_placed(&store).await.0.len(), 1);
}

#[tokio::test]
async fn a_new_manager_begins_after_a_position() {
    let store = sqlite().await;
    let mut positions = Vec::new();
    for _ in 0..3 {
        positions.push(place_one(&store).await);
    }
    let managers = runner(&store).begin_after(positions[1]).spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    let (asked, placed) = asked_of_placed(&store).await;
    assert_eq!(asked, placed[2..]);
}

/// Wherever now is, two that begin agree on it, and behind it nothing is left out and nothing done twice.
async fn begins_among_appends<S: ProjectionStore + SnapshotStore>(store: S) {
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..40 {
                place_one(&store).await;
            }
        }
    });
    while store.head().await.unwrap() < Position::new(5) {
        tokio::task::yield_now().await;
    }
    let one = runner(&store).begin_now().spawn();
    tokio::task::yield_now().await;
    let another = runner(&store).begin_now().spawn();
    writer.await.unwrap();
    quiet(&one, &store).await;
    quiet(&another, &store).await;
    one.shutdown().await.unwrap();
    another.shutdown().await.unwrap();
    let (asked, placed) = asked_of_placed(&store).await;
    assert!(asked.len() <= 35, "there was a past");
    assert_eq!(asked, placed[placed.len() - asked.len()..]);
}

#[tokio::test]
async fn now_is_one_position_while_events_are_appended() {
    begins_among_appends(MemoryStore::new()).await;
    begins_among_appends(sqlite().await).await;
}
