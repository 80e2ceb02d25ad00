//! Many commands at once for one aggregate.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{MemoryStore, PostgresOptions, PostgresStore, SqliteStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use tokio::time::sleep;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Counted {
    to: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = u32, events(Counted))]
struct Counter {
    count: u64,
}

impl Apply<Counted> for Counter {
    fn apply(&mut self, event: Counted) {
        self.count = event.to;
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Counter)]
struct Count {
    #[command(id)]
    counter: u32,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Counter)]
struct CountSlowly {
    #[command(id)]
    counter: u32,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Counter)]
struct CountTwice {
    #[command(id)]
    counter: u32,
}

/// A bus that a handler dispatches with as well.
#[derive(Default)]
struct Again(OnceLock<CommandBus>);

#[command_handler]
impl Counter {
    async fn count(&self, _: Count) -> Result<Counted, Infallible> {
        // Somewhere in the middle of a decision others go on.
        yield_now().await;
        Ok(Counted { to: self.count + 1 })
    }

    async fn count_slowly(&self, _: CountSlowly) -> Result<Counted, Infallible> {
        sleep(Duration::from_millis(600)).await;
        Ok(Counted { to: self.count + 1 })
    }

    /// Takes the version from its own command.
    async fn count_twice(&self, command: CountTwice, again: &Arc<Again>) -> Result<Counted, Infallible> {
        let bus = again.0.get().expect("the test gave it");
        bus.dispatch(Count { counter: command.counter }).await.expect("it waits for nobody for ever");
        Ok(Counted { to: self.count + 1 })
    }
}

fn commands<S: EventStore + SnapshotStore>(store: &S, retries: u32) -> CommandBus {
    let again = Arc::new(Again::default());
    let repository = Repository::<Counter, _>::new(store.clone()).with_services(Arc::clone(&again));
    let bus = CommandBus::builder().aggregate(repository.max_retries(retries)).build();
    assert!(again.0.set(bus.clone()).is_ok());
    bus
}

/// As many ran out of retries as did not, since they went on to take each other's version.
async fn all_are_in<S: EventStore + SnapshotStore>(store: S, retries: u32) {
    let bus = commands(&store, retries);
    let counts = (0..64).map(|_| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                bus.dispatch(Count { counter: 1 }).await.unwrap();
            }
        })
    });
    for task in counts.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let counter = Repository::<Counter, _>::new(store).with_services(Arc::new(Again::default())).load(&1).await;
    assert_eq!(counter.unwrap().state.count, 640);
}

#[test]
fn commands_of_one_aggregate_do_not_run_out_of_retries_in_memory() {
    run(all_are_in(MemoryStore::new(), 10));
}

#[test]
fn commands_of_one_aggregate_do_not_run_out_of_retries_on_sqlite() {
    run(async { all_are_in(SqliteStore::open(":memory:").await.unwrap(), 10).await });
}

#[test]
fn commands_of_one_aggregate_do_not_run_out_of_retries_on_postgres() {
    run(async {
        let options = PostgresOptions::default().schema(services::a_schema()).connect_timeout(Duration::from_mins(1));
        // There are so many conflicts that this many ran out as well, and no busy machine makes anybody need them.
        all_are_in(PostgresStore::connect_with(&services::postgres(), options).await.unwrap(), 50).await;
    });
}

/// Each decision takes longer than a turn is waited for at first. Those who gave up waiting never waited again, and took
/// each other's version.
#[tokio::test(start_paused = true)]
async fn nor_do_those_that_take_long() {
    let bus = commands(&MemoryStore::new(), 10);
    let counts = (0..64).map(|_| {
        let bus = bus.clone();
        tokio::spawn(async move { bus.dispatch(CountSlowly { counter: 1 }).await.unwrap().version })
    });
    let mut versions = Vec::new();
    for task in counts.collect::<Vec<_>>() {
        versions.push(task.await.unwrap().get());
    }
    versions.sort_unstable();
    assert!(versions.into_iter().eq(1..=64));
}

/// It has the turn of the stream when its handler dispatches to that.
#[test]
fn a_handler_that_dispatches_to_its_own_stream_comes_to_an_end() {
    run(async {
        let bus = commands(&MemoryStore::new(), 3);
        // Each attempt takes the version from itself: it is refused in the end, and holds up nobody.
        assert!(bus.dispatch(CountTwice { counter: 1 }).await.is_err());
        bus.dispatch(Count { counter: 1 }).await.unwrap();
    });
}
