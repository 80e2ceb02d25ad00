//! `enable_tracing` in a macro beside `enable_tracing` of the component that runs it.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::orders::{Order, OrderPlaced};
use eventsource_tests::recorder::Recorder;
use serde::Deserialize;
use uuid::Uuid;

use crate::{place, turn};

struct Absent;

#[projection]
impl Absent {
    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

struct On;

#[projection(enable_tracing = true)]
impl On {
    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

struct Off;

#[projection(enable_tracing = false)]
impl Off {
    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// The spans of three projections whose runner is told `enabled`, or nothing.
async fn projected(enabled: Option<bool>) -> Vec<String> {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = MemoryStore::new().enable_tracing(false);
            let runner = ProjectionRunner::new(store.clone()).projection(Absent).projection(On).projection(Off);
            let runner = enabled.into_iter().fold(runner, ProjectionRunner::enable_tracing);
            let quiet =
                CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).enable_tracing(false).build();
            let placed = quiet.dispatch(place(Uuid::now_v7(), 1)).await.unwrap();
            let projections = runner.spawn();
            projections.wait_for(placed.position).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    let spans = recorder.spans().into_iter().map(|span| span.name.into_owned());
    let mut names: Vec<_> = spans.filter(|name| name.starts_with("projection.")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_projections_own_option_beats_its_runner_which_beats_an_absent_one() {
    let _turn = turn().await;
    assert_eq!(projected(None).await, ["projection.On"]);
    assert_eq!(projected(Some(true)).await, ["projection.Absent", "projection.On"]);
    assert_eq!(projected(Some(false)).await, ["projection.On"]);
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
