//! What a manager reads of the past when it starts.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::projection::{Claim, Lease, Partition, ProjectionStore};
use eventsource_runtime::store::{EventStore, ExpectedVersion, NewEvent, Origin, StreamId};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::shipping::{OrderStatus, TIME_TO_PAY, commands};
use uuid::Uuid;

use super::{Still, place, quiet, runner, status};

/// Far more than a start may read for nothing.
const PAST: usize = 5000;
const PATIENCE: Duration = Duration::from_mins(1);

/// Events of processes that were over long ago.
async fn pass_time(store: &Faulty) {
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
async fn written_down(store: &Faulty, position: usize) {
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
    let (store, clock) = (Faulty::default(), Arc::new(Still::default()));
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
