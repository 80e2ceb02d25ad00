//! Events that a process records at a moment, however late it is told of what they depend on.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{MemoryStore, StreamId};
use eventsource_runtime::testing::process;
use eventsource_tests::clocks::Moved;
use eventsource_tests::shipping::{Order, OrderPlaced};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{all_events, names, place, quiet};

const HOUR: Duration = Duration::from_hours(1);

#[derive(Event, Clone, Serialize, Deserialize)]
struct Late {}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Late))]
struct Deadline;

impl Apply<Late> for Deadline {
    fn apply(&mut self, _: Late) {}
}

#[process_manager]
impl Deadline {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> {
        Reaction::new().record_at(event.recorded_at() + HOUR, Late {})
    }
}

#[derive(Event, Clone, Serialize, Deserialize)]
struct Later {}

/// Reminds an hour after an order, and an hour after that.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Late, Later))]
struct Reminding;

impl Apply<Late> for Reminding {
    fn apply(&mut self, _: Late) {}
}

impl Apply<Later> for Reminding {
    fn apply(&mut self, _: Later) {}
}

#[process_manager]
impl Reminding {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> {
        Reaction::new().record_at(event.recorded_at() + HOUR, Late {})
    }

    fn late(&self, event: &Recorded<Late>) -> Reaction<Self> {
        Reaction::new().record_at(event.recorded_at() + HOUR, Later {})
    }
}

#[derive(Event, Clone, Serialize, Deserialize)]
struct Counted {}

/// Counts the hours since an order.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Late, Counted))]
struct Counting;

impl Apply<Late> for Counting {
    fn apply(&mut self, _: Late) {}
}

impl Apply<Counted> for Counting {
    fn apply(&mut self, _: Counted) {}
}

#[process_manager]
impl Counting {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> {
        Reaction::new().record_at(event.recorded_at() + HOUR, Late {})
    }

    fn late(&self, event: &Recorded<Late>) -> Reaction<Self> {
        Reaction::new().record(Counted {}).record_at(event.recorded_at() + HOUR, Late {})
    }
}

/// What it schedules begins a new chain: one of many reactions would be stopped, however far apart they are.
#[tokio::test(start_paused = true)]
async fn a_process_that_puts_itself_off_again_and_again_is_no_cycle() {
    let (store, clock) = (MemoryStore::new(), Arc::new(Moved::default()));
    let orders = Repository::<Order, _>::new(store.clone()).with_clock(clock.clone());
    let bus = CommandBus::builder().aggregate(orders).build();
    let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Counting>();
    let managers = runner.with_clock(clock.clone()).max_retries(0).max_depth(2).spawn();
    let context = Context { metadata: Metadata::from([("tenant", "north")]), ..Context::default() };
    bus.dispatch_with(place(Uuid::now_v7(), "Ada", "1 Analytical Row"), context).await.unwrap();
    for hour in 1..=6 {
        quiet(&managers, &store).await;
        clock.pass(HOUR);
        let counted = async || {
            while names(&store, "Counting").await.iter().filter(|name| *name == "Counted").count() < hour {
                let stopped = tokio::time::timeout(Duration::from_millis(1), managers.stopped()).await;
                assert!(stopped.is_err(), "at hour {hour}: {stopped:?}");
            }
        };
        crate::in_time(counted()).await;
    }
    managers.shutdown().await.unwrap();
    for event in all_events(&store).await {
        assert_eq!(event.metadata.get("tenant"), Some("north"), "{event:?}");
        let depth = event.metadata.get("process_manager.depth");
        let expected = if ["OrderPlaced", "Late", "process_manager.scheduled"].contains(&&*event.event_type) {
            None
        } else {
            Some("1")
        };
        assert_eq!(depth, expected, "{event:?}");
    }
}

#[tokio::test]
async fn a_moment_does_not_move_if_the_manager_reacts_late() {
    let (store, clock) = (MemoryStore::new(), Arc::new(Moved::default()));
    let orders = Repository::<Order, _>::new(store.clone()).with_clock(clock.clone());
    let bus = CommandBus::builder().aggregate(orders).build();
    let start = || {
        let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).with_clock(clock.clone());
        runner.process_manager::<Deadline>().spawn()
    };
    bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    clock.pass(2 * HOUR);
    // Nobody moves the clock any more: one that is due an hour from now never comes.
    let managers = start();
    let late = async {
        while names(&store, "Deadline").await.iter().all(|name| name != "Late") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), late).await.expect("the moment has passed");
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
}

/// Holds what a tree of JSON values does not: an integer beyond 64 bits, and fields in an order.
#[derive(Event, Clone, Serialize, Deserialize)]
struct Wide {
    second: u128,
    first: f64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Wide))]
struct Widening;

impl Apply<Wide> for Widening {
    fn apply(&mut self, _: Wide) {}
}

const WIDE: Wide = Wide { second: u128::MAX, first: -0.0 };

#[process_manager]
impl Widening {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> {
        Reaction::new().record_at(event.recorded_at(), WIDE)
    }
}

#[tokio::test]
async fn what_was_put_off_is_recorded_byte_for_byte() {
    let store = MemoryStore::new();
    let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let managers = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Widening>().spawn();
    bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    let recorded = async {
        loop {
            if let Some(wide) = all_events(&store).await.iter().find(|event| *event.event_type == *"Wide") {
                return wide.payload().clone();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(crate::in_time(recorded).await, serde_json::to_vec(&WIDE).unwrap());
    managers.shutdown().await.unwrap();
}

#[test]
fn a_moment_is_part_of_what_a_test_expects_and_comes_in_its_turn() {
    let (order, placed) = (Uuid::now_v7(), || OrderPlaced { customer: "Ada".into(), cents: 1, address: "here".into() });
    let moment = Timestamp::from_micros(0) + HOUR;
    process::<Deadline>()
        .when(StreamId::new("Order", order), placed())
        .then(Reaction::new().record_at(moment, Late {}))
        .when_due()
        .then(());
}

/// What was due was recorded in 1970 too, and what followed from it came before it.
#[test]
fn what_follows_from_a_moment_follows_it_in_time() {
    let (order, placed) = (Uuid::now_v7(), OrderPlaced { customer: "Ada".into(), cents: 1, address: "here".into() });
    let moment = Timestamp::from_micros(0) + HOUR;
    process::<Reminding>()
        .when(StreamId::new("Order", order), placed)
        .then(Reaction::new().record_at(moment, Late {}))
        .when_due()
        .then(Reaction::new().record_at(moment + HOUR, Later {}));
}
