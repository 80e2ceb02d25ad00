//! `enable_tracing` in a macro beside `enable_tracing` of the component that runs it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{OnFailure, ProjectionError};
use eventsource_runtime::store::{MemoryStore, StreamId};
use eventsource_tests::orders::{Order, OrderPlaced};
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{place, turn};

/// Fails as long as it is told to.
#[derive(Clone, Default)]
struct Absent(Arc<AtomicBool>);

#[projection]
impl Absent {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        unless(&self.0)
    }
}

#[derive(Clone, Default)]
struct On(Arc<AtomicBool>);

#[projection(enable_tracing = true)]
impl On {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        unless(&self.0)
    }
}

#[derive(Clone, Default)]
struct Off(Arc<AtomicBool>);

#[projection(enable_tracing = false)]
impl Off {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        unless(&self.0)
    }
}

fn unless(fails: &AtomicBool) -> Result<(), ProjectionError> {
    if fails.load(Ordering::SeqCst) { Err(ProjectionError::new("not yet")) } else { Ok(()) }
}

fn quiet(store: &MemoryStore) -> CommandBus {
    let orders = Repository::<Order, _>::new(store.clone());
    CommandBus::builder().aggregate(orders).enable_tracing(false).build()
}

/// The names of a kind of spans that something leaves.
async fn spans(kind: &str, of: impl Future<Output = ()>) -> Vec<String> {
    let recorder = Recorder::new();
    recorder.run(of).await;
    let spans = recorder.spans().into_iter().map(|span| span.name.into_owned());
    let mut names: Vec<_> = spans.filter(|name| name.starts_with(kind)).collect();
    names.sort();
    names
}

/// The spans of three projections whose runner is told `enabled`, or nothing.
async fn projected(enabled: Option<bool>) -> Vec<String> {
    spans("projection.", async {
        let store = MemoryStore::new().enable_tracing(false);
        let runner = ProjectionRunner::new(store.clone()).projection(Absent::default());
        let runner = runner.projection(On::default()).projection(Off::default());
        let runner = enabled.into_iter().fold(runner, ProjectionRunner::enable_tracing);
        let placed = quiet(&store).dispatch(place(Uuid::now_v7(), 1)).await.unwrap();
        let projections = runner.spawn();
        projections.wait_for(placed.position).await.unwrap();
        projections.shutdown().await.unwrap();
    })
    .await
}

/// A runner that is switched off is the stronger switch; one that is switched on is the default of those that do not
/// say themselves: "`enable_tracing` of the runner beats an absent macro option; an explicit macro option beats the
/// runner's default."
#[tokio::test]
async fn a_runner_that_is_off_beats_a_projections_own_option_which_beats_a_runner_that_is_on() {
    let _turn = turn().await;
    assert_eq!(projected(None).await, ["projection.On"]);
    assert_eq!(projected(Some(true)).await, ["projection.Absent", "projection.On"]);
    assert_eq!(projected(Some(false)).await, [""; 0]);
}

/// The spans of a retry of three projections' dead letters, which is told `enabled`, or nothing.
async fn retried(enabled: Option<bool>) -> Vec<String> {
    let store = MemoryStore::new().enable_tracing(false);
    let (absent, on, off) = (Absent::default(), On::default(), Off::default());
    let fails = [&absent.0, &on.0, &off.0];
    for fails in fails {
        fails.store(true, Ordering::SeqCst);
    }
    let runner = ProjectionRunner::new(store.clone()).max_retries(0).on_failure(OnFailure::DeadLetter);
    let runner = runner.projection(absent.clone()).projection(on.clone()).projection(off.clone());
    let order = Uuid::now_v7();
    let placed = quiet(&store).dispatch(place(order, 1)).await.unwrap();
    let projections = runner.spawn();
    projections.wait_for(placed.position).await.unwrap();
    projections.shutdown().await.unwrap();
    for fails in fails {
        fails.store(false, Ordering::SeqCst);
    }
    let stream = StreamId::new("Order", order);
    spans("projection.", async {
        let runner = ProjectionRunner::new(store.clone());
        let runner = enabled.into_iter().fold(runner, ProjectionRunner::enable_tracing);
        assert_eq!(runner.dead_letters(absent).retry(&stream).await.unwrap(), 1);
        assert_eq!(runner.dead_letters(on).retry(&stream).await.unwrap(), 1);
        assert_eq!(runner.dead_letters(off).retry(&stream).await.unwrap(), 1);
    })
    .await
}

#[tokio::test]
async fn the_same_holds_for_retries_of_dead_letters() {
    let _turn = turn().await;
    assert_eq!(retried(None).await, ["projection.On"]);
    assert_eq!(retried(Some(true)).await, ["projection.Absent", "projection.On"]);
    assert_eq!(retried(Some(false)).await, [""; 0]);
}

macro_rules! manager {
    ($name:ident $(, $option:ident = $value:literal)?) => {
        #[derive(Aggregate, Default)]
        #[aggregate(id = String, events(Noticed))]
        struct $name;
        impl Apply<Noticed> for $name {
            fn apply(&mut self, _: Noticed) {}
        }
        #[process_manager($($option = $value)?)]
        impl $name {
            fn placed(&self, _: &Recorded<OrderPlaced>) -> Reaction<Self> {
                Reaction::new().record(Noticed {})
            }
        }
    };
}

#[derive(Event, Serialize, Deserialize)]
struct Noticed {}

manager!(Unsaid);
manager!(Loud, enable_tracing = true);
manager!(Silent, enable_tracing = false);

/// The spans of three managers whose runner is told `enabled`, or nothing.
async fn managed(enabled: Option<bool>) -> Vec<String> {
    spans("process_manager.", async {
        let store = MemoryStore::new().enable_tracing(false);
        let bus = quiet(&store);
        let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Unsaid>();
        let runner = runner.process_manager::<Loud>().process_manager::<Silent>();
        let runner = enabled.into_iter().fold(runner, ProcessManagerRunner::enable_tracing);
        let placed = bus.dispatch(place(Uuid::now_v7(), 1)).await.unwrap();
        let managers = runner.spawn();
        managers.wait_for(placed.position).await.unwrap();
        managers.shutdown().await.unwrap();
    })
    .await
}

#[tokio::test]
async fn the_same_holds_for_managers_whose_default_is_on() {
    let _turn = turn().await;
    assert_eq!(managed(None).await, ["process_manager.Loud", "process_manager.Unsaid"]);
    assert_eq!(managed(Some(true)).await, ["process_manager.Loud", "process_manager.Unsaid"]);
    assert_eq!(managed(Some(false)).await, [""; 0]);
}

#[derive(Query, Deserialize)]
#[query(output = u32)]
struct Plain {}

#[derive(Query, Deserialize)]
#[query(output = u32)]
struct Quiet {}

struct Answers;

#[query_handler]
impl Answers {
    fn plain(&self, _: Plain) -> Result<u32, Infallible> {
        Ok(1)
    }

    #[traced(enable_tracing = false)]
    fn quiet(&self, _: Quiet) -> Result<u32, Infallible> {
        Ok(1)
    }
}

async fn answered(enabled: Option<bool>) -> String {
    let recorder = Recorder::new();
    let bus = QueryBus::builder().handler(Answers);
    let bus = enabled.into_iter().fold(bus, eventsource_runtime::dispatch::QueryBusBuilder::enable_tracing).build();
    recorder.run(async { bus.execute(Plain {}).await.and(bus.execute(Quiet {}).await).unwrap() }).await;
    recorder.trees().names()
}

#[tokio::test]
async fn a_querys_own_option_beats_the_bus_which_beats_an_absent_one() {
    let _turn = turn().await;
    assert_eq!(answered(None).await, "query.Plain");
    assert_eq!(answered(Some(true)).await, "query.Plain");
    assert_eq!(answered(Some(false)).await, "");
}
