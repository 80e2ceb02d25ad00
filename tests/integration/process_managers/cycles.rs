//! Reactions that lead to one another for ever.

use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::dispatch::{ChainTooLong, caused_by};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{OnFailure, ProjectionError};
use eventsource_runtime::store::MemoryTransaction;
use eventsource_tests::shipping::{OrderPlaced, RefundPayment, commands};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{all_events, names, place};

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pinged {}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ponged {}
#[derive(Aggregate, Default)]
#[aggregate(id = String, error = std::fmt::Error, events(Pinged, Ponged))]
pub(super) struct Table;
impl Apply<Pinged> for Table {
    fn apply(&mut self, _: Pinged) {}
}
impl Apply<Ponged> for Table {
    fn apply(&mut self, _: Ponged) {}
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Table)]
pub(super) struct Ping {
    #[command(id)]
    pub(super) table: String,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Table)]
struct Pong {
    #[command(id)]
    table: String,
}
#[command_handler]
impl Table {
    fn ping(&self, _: Ping) -> Result<Pinged, std::fmt::Error> {
        Ok(Pinged {})
    }
    fn pong(&self, _: Pong) -> Result<Ponged, std::fmt::Error> {
        Ok(Ponged {})
    }
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub(super) struct Played {}
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Played))]
struct Left;
impl Apply<Played> for Left {
    fn apply(&mut self, _: Played) {}
}
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Played))]
pub(super) struct Right;
impl Apply<Played> for Right {
    fn apply(&mut self, _: Played) {}
}
#[process_manager]
impl Left {
    fn ponged(&self, event: &Recorded<Ponged>) -> Ping {
        Ping { table: event.aggregate_id().into() }
    }
}
#[process_manager(enable_tracing = false)]
impl Right {
    fn pinged(&self, event: &Recorded<Pinged>) -> Pong {
        Pong { table: event.aggregate_id().into() }
    }
}

#[tokio::test]
async fn managers_that_set_each_other_off_are_stopped_and_the_chain_is_named() {
    let store = MemoryStore::new();
    let bus = CommandBus::builder().aggregate(Repository::<Table, _>::new(store.clone())).build();
    let managers = ProcessManagerRunner::new(store.clone(), bus.clone())
        .process_manager::<Left>()
        .process_manager::<Right>()
        .max_retries(0)
        .max_depth(7)
        .spawn();
    let context = Context { metadata: Metadata::from_iter([("tenant", "north")]), ..Context::default() };
    bus.dispatch_with(Ping { table: "1".into() }, context).await.unwrap();
    let error = managers.wait_for(Position::new(u64::MAX)).await.unwrap_err();
    let ProjectionStopped::Failed { projection: "Right" | "Left", source, .. } = error else { panic!("{error}") };
    let chain = source.downcast_ref::<ChainTooLong>().expect("the cycle was stopped");
    assert_eq!(chain.depth, 8);
    assert!(chain.to_string().contains("Right(Pinged) > Left(Ponged) > Right(Pinged)"), "{chain}");
    // The first command was nobody's reaction; seven were.
    assert_eq!(names(&store, "Table").await.len(), 8);
    let last = all_events(&store).await.into_iter().rfind(|event| event.stream.aggregate_type() == "Table").unwrap();
    assert_eq!(last.metadata.get("tenant"), Some("north"));
    assert_eq!(last.metadata.get("process_manager.depth"), Some("7"));
    managers.shutdown().await.unwrap_err();
}

/// Answers as `Right` does, in a task of its own if it is told so.
struct Answering {
    bus: CommandBus,
    apart: bool,
}

#[projection]
impl Answering {
    async fn pinged(&self, event: &Recorded<Pinged>, _: &MemoryTransaction) -> Result<(), ProjectionError> {
        let (bus, pong) = (self.bus.clone(), Pong { table: event.aggregate_id().into() });
        let context = Context { metadata: Metadata::from([("answered", "yes")]), ..Context::default() };
        let answer = async move { bus.dispatch_with(pong, context).await };
        if self.apart {
            tokio::spawn(caused_by(event, answer)).await??;
        } else {
            answer.await?;
        }
        Ok(())
    }
}

/// Nobody counted what went on by way of something else, and it never ended.
#[tokio::test]
async fn a_manager_that_a_projection_sets_off_again_is_stopped_too() {
    for apart in [false, true] {
        let store = MemoryStore::new();
        let bus = CommandBus::builder().aggregate(Repository::<Table, _>::new(store.clone())).build();
        let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Left>();
        let managers = runner.max_retries(0).max_depth(7).spawn();
        let answering = Answering { bus: bus.clone(), apart };
        let answers = ProjectionRunner::new(store.clone()).projection(answering).spawn();
        bus.dispatch(Ping { table: "1".into() }).await.unwrap();
        let stopped = async || loop {
            let stopped = tokio::time::timeout(Duration::from_millis(1), managers.stopped()).await;
            if let Ok(error) = stopped {
                break error;
            }
            assert!(names(&store, "Table").await.len() < 100, "it goes on");
        };
        let error = crate::in_time(stopped()).await;
        let ProjectionStopped::Failed { source, .. } = error else { panic!("{error}") };
        let chain = source.downcast_ref::<ChainTooLong>().expect("the cycle was stopped");
        assert_eq!((chain.depth, &*chain.chain), (8, &*["Left(Ponged)"; 8].join(" > ")));
        let last = all_events(&store).await.into_iter().rfind(StoredEvent::is::<Ponged>).unwrap();
        let told = |name: &str| last.metadata.get(name);
        assert_eq!((told("process_manager.depth"), told("answered")), (Some("7"), Some("yes")));
        assert_eq!(told("process_manager.cause"), None, "it is the event that it names as its cause");
        answers.shutdown().await.unwrap();
        managers.shutdown().await.unwrap_err();
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Played))]
struct Stubborn;
impl Apply<Played> for Stubborn {
    fn apply(&mut self, _: Played) {}
}
#[process_manager]
impl Stubborn {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<RefundPayment, uuid::Error> {
        Ok(RefundPayment { order_id: event.aggregate_id().parse()? })
    }
    fn refused(&self, refused: &Rejected<RefundPayment>) -> RefundPayment {
        RefundPayment::clone(refused)
    }
}

#[tokio::test]
async fn a_command_that_is_sent_again_whenever_it_is_refused_is_stopped_too() {
    let store = MemoryStore::new();
    let bus = commands(&store);
    let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Stubborn>();
    let managers = runner.max_retries(0).max_depth(5).spawn();
    let placed = bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    let error = managers.wait_for(placed.position).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("Stubborn(OrderPlaced) > Stubborn(RefundPayment refused)"), "{source}");
    managers.shutdown().await.unwrap_err();
}

/// It was tried six times, which took two seconds, and the letter did not say what made the cycle.
#[tokio::test]
async fn a_chain_that_is_too_long_is_not_tried_again() {
    let store = MemoryStore::new();
    let bus = commands(&store);
    let runner = || ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Stubborn>();
    let managers = runner().on_failure(OnFailure::DeadLetter).max_depth(5).spawn();
    let placed = bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    managers.wait_for(placed.position).await.unwrap();
    managers.shutdown().await.unwrap();
    let letters = runner().dead_letters::<Stubborn>().list(Position::START, 10).await.unwrap();
    assert_eq!((&*letters[0].error_type, letters[0].retries), ("ChainTooLong", 0));
    assert!(letters[0].reason.contains("Stubborn(RefundPayment refused)"), "{}", letters[0].reason);
}
