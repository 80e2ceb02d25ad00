//! What cannot be dispatched.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::dispatch::MAX_JSON;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{OnFailure, ProjectionStore};
use eventsource_runtime::store::{NewEvent, Origin, SqliteStore, StreamId};
use eventsource_runtime::testing::process;
use eventsource_tests::faulty::Faulty;
use eventsource_tests::scratch::Scratch;
use eventsource_tests::shipping::{
    Order, OrderCancelled, OrderPlaced, OrderStatus, Payment, SettlePayment, Shipping, commands,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{names, place, quiet, runner, status};
use crate::sqlite;

/// A bus that sends no parcels.
fn without_parcels<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    CommandBus::builder()
        .aggregate(Repository::<Order, _>::new(store.clone()))
        .aggregate(Repository::<Payment, _>::new(store.clone()))
        .build()
}

/// Settles an order while no parcel can be sent.
async fn settle_without_parcels<S: ProjectionStore + SnapshotStore>(store: &S, on_failure: OnFailure) {
    let bus = commands(store);
    let lame = ProcessManagerRunner::new(store.clone(), without_parcels(store)).process_manager::<Shipping>();
    let managers = lame.max_retries(0).on_failure(on_failure).spawn();
    let order = Uuid::now_v7();
    bus.dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, store).await;
    bus.dispatch(SettlePayment { order_id: order }).await.unwrap();
    quiet(&managers, store).await;
    managers.shutdown().await.unwrap();
}

const NO_HANDLER: &str = "No handler for SendParcel; give the bus its aggregate's repository with `.aggregate(..)`";

#[tokio::test]
async fn a_command_that_nobody_handles_stops_the_manager_and_is_dispatched_when_somebody_does() {
    let store = sqlite().await;
    let bus = commands(&store);
    let lame = ProcessManagerRunner::new(store.clone(), without_parcels(&store)).process_manager::<Shipping>();
    let managers = lame.max_retries(0).spawn();
    let order = Uuid::now_v7();
    let placed = bus.dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    managers.wait_for(placed.position).await.unwrap();
    let settled = bus.dispatch(SettlePayment { order_id: order }).await.unwrap();
    let stopped = managers.wait_for(settled.position).await.unwrap_err();
    let source = std::error::Error::source(&stopped).unwrap().to_string();
    assert_eq!(source, NO_HANDLER);
    managers.shutdown().await.unwrap_err();

    let managers = runner(&store).spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(status(&store, order).await, OrderStatus::Done);
    assert_eq!(names(&store, "Parcel").await, ["ParcelSent"]);
}

/// As the page about operating says of an old release, which has no handler for a new command.
#[tokio::test]
async fn a_command_that_nobody_handles_is_never_dispatched_where_its_event_is_skipped() {
    let store = sqlite().await;
    settle_without_parcels(&store, OnFailure::Skip).await;

    let managers = runner(&store).spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(names(&store, "Parcel").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_cannot_be_reacted_to_is_set_aside_and_other_processes_go_on() {
    let store = sqlite().await;
    let bus = commands(&store);
    let lame = ProcessManagerRunner::new(store.clone(), without_parcels(&store)).process_manager::<Shipping>();
    let managers = lame.max_retries(0).on_failure(OnFailure::DeadLetter).spawn();
    let (stuck, refused) = (Uuid::now_v7(), Uuid::now_v7());
    bus.dispatch(place(stuck, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    bus.dispatch(SettlePayment { order_id: stuck }).await.unwrap();
    bus.dispatch(place(refused, "Mallory", "9 Back Street")).await.unwrap();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(status(&store, refused).await, OrderStatus::Cancelled("NoCredit".into()));
    let letters = runner(&store).dead_letters::<Shipping>();
    let listed = letters.list(Position::START, 10).await.unwrap();
    let reasons: Vec<_> = listed.iter().map(|letter| (&*letter.event_type, &*letter.reason)).collect();
    assert_eq!(reasons, [("PaymentTaken", NO_HANDLER)]);

    // The cause is mended, and the process goes on where it stood.
    assert_eq!(letters.retry(&listed[0].stream).await.unwrap(), 1);
    let managers = runner(&store).spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(status(&store, stuck).await, OrderStatus::Done);
    assert_eq!(names(&store, "Parcel").await, ["ParcelSent"]);
    assert!(letters.list(Position::START, 10).await.unwrap().is_empty());
}

/// What strangers may send is bounded. What a process has written down is not theirs: it was refused each time that it
/// was dispatched, for good.
#[tokio::test]
async fn a_command_that_is_longer_than_strangers_may_send_is_dispatched() {
    let store = sqlite().await;
    let (order, address) = (Uuid::now_v7(), "1 Analytical Row, ".repeat(MAX_JSON / 16));
    let placed = commands(&store).dispatch(place(order, "Ada", &address)).await.unwrap();
    let managers = runner(&store).max_retries(0).spawn();
    managers.wait_for(placed.position).await.unwrap();
    commands(&store).dispatch(SettlePayment { order_id: order }).await.unwrap();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(names(&store, "Parcel").await, ["ParcelSent"]);
}

/// It was tried six times, which took two seconds, before the next event had its turn.
#[tokio::test]
async fn what_a_manager_cannot_decode_is_not_retried() {
    let store = MemoryStore::new();
    let (id, payload) = (Uuid::now_v7(), "{}".to_owned().into());
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let newer = NewEvent { id, event_type: "OrderPlaced", schema_version: 99, payload, origin };
    let stream = StreamId::new("Order", Uuid::now_v7());
    let placed = store.append(&stream, ExpectedVersion::NoStream, vec![newer]).await.unwrap();
    let managers = runner(&store).on_failure(OnFailure::DeadLetter).spawn();
    managers.wait_for(placed.position).await.unwrap();
    managers.shutdown().await.unwrap();
    let letters = runner(&store).dead_letters::<Shipping>().list(Position::START, 10).await.unwrap();
    assert_eq!((&*letters[0].error_type, letters[0].retries), ("DecodeError", 0));
}

/// It was reacted to first, and only then it was seen that there was no letter any more.
#[tokio::test]
async fn a_letter_that_was_resolved_is_not_reacted_to() {
    let store = Faulty::default();
    settle_without_parcels(&store, OnFailure::DeadLetter).await;
    let letters = runner(&store).dead_letters::<Shipping>();
    let listed = letters.list(Position::START, 10).await.unwrap();
    assert!(letters.resolve(listed[0].position).await.unwrap());
    // Whoever retries has seen the letter before.
    store.list_once(listed.clone());
    assert_eq!(letters.retry(&listed[0].stream).await.unwrap(), 0);
    assert_eq!(names(&store, "Parcel").await, Vec::<String>::new());
}

/// A store that refuses an event for good was taken for one in trouble, and the manager stood still for ever.
#[tokio::test]
async fn what_the_store_refuses_for_good_is_left_to_the_policy() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let rule = "CREATE TRIGGER no_parcels BEFORE INSERT ON events WHEN NEW.event_type = 'ParcelSent' \
        BEGIN SELECT RAISE(ABORT, 'no parcels today'); END";
    rusqlite::Connection::open(scratch.file()).unwrap().execute_batch(rule).unwrap();
    let bus = commands(&store);
    let managers = runner(&store).max_retries(0).on_failure(OnFailure::DeadLetter).spawn();
    let (stuck, refused) = (Uuid::now_v7(), Uuid::now_v7());
    bus.dispatch(place(stuck, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    bus.dispatch(SettlePayment { order_id: stuck }).await.unwrap();
    bus.dispatch(place(refused, "Mallory", "9 Back Street")).await.unwrap();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(status(&store, refused).await, OrderStatus::Cancelled("NoCredit".into()));
    let listed = runner(&store).dead_letters::<Shipping>().list(Position::START, 10).await.unwrap();
    let [letter] = &*listed else { panic!("{listed:?}") };
    assert_eq!(&*letter.event_type, "PaymentTaken");
    assert!(letter.reason.starts_with("the store refused to append events: `Parcel-"), "{}", letter.reason);
    store.close().await;
}

/// Others that appended without a pause, as an import does, counted as the event's fault: it was skipped, or stopped its
/// manager, with its commands decided and never dispatched.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_busy_is_not_the_events_fault() {
    for busy in ["Payment", "Shipping"] {
        for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
            let store = Faulty::default();
            store.overtake_appends_to(busy, 100);
            let managers = runner(&store).on_failure(policy).spawn();
            commands(&store).dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
            quiet(&managers, &store).await;
            managers.shutdown().await.unwrap();
            assert_eq!(store.to_be_overtaken(), 0, "{busy}, {policy:?}");
            assert_eq!(names(&store, "Payment").await, ["PaymentAsked"], "{busy}, {policy:?}");
            let letters = runner(&store).dead_letters::<Shipping>();
            assert_eq!(letters.list(Position::START, 10).await.unwrap(), [], "{busy}, {policy:?}");
        }
    }
}

/// As one of a store in trouble, it is not waited for without end.
#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_busy_stops_the_manager_when_its_patience_is_over() {
    let store = Faulty::default();
    store.overtake_appends_to("Payment", usize::MAX);
    let managers = runner(&store).on_failure(OnFailure::Skip).patience(Duration::from_secs(10)).spawn();
    commands(&store).dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    let stopped = tokio::time::timeout(Duration::from_mins(1), managers.stopped()).await.expect("it gives up");
    assert_eq!((stopped.event(), stopped.error_type()), (None, "conflict"));
    managers.shutdown().await.unwrap_err();
    store.overtake_appends_to("Payment", 0);
    let managers = runner(&store).spawn();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    assert_eq!(names(&store, "Payment").await, ["PaymentAsked"]);
}

#[derive(Event, Serialize, Deserialize)]
struct Weighed {
    kilos: f64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Weighed))]
struct Scales;

impl Apply<Weighed> for Scales {
    fn apply(&mut self, _: Weighed) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Scales)]
struct Weigh {
    #[command(id)]
    scales: Uuid,
    kilos: f64,
}

#[command_handler]
impl Scales {
    fn weigh(&self, command: Weigh) -> Result<Weighed, Infallible> {
        Ok(Weighed { kilos: command.kilos })
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Weighed), name = "Weighing")]
struct Weighing;

impl Apply<Weighed> for Weighing {
    fn apply(&mut self, _: Weighed) {}
}

#[process_manager]
impl Weighing {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<Weigh, uuid::Error> {
        Ok(Weigh { scales: event.aggregate_id().parse()?, kilos: f64::NAN })
    }

    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Reaction<Self> {
        Reaction::new().record_after(Duration::from_secs(1), Weighed { kilos: f64::NAN })
    }
}

/// With nothing beside it the event was skipped in silence.
#[tokio::test]
async fn a_command_that_cannot_be_stored_stops_the_manager() {
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let placed = commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    let scales = CommandBus::builder().aggregate(Repository::<Scales, _>::new(store.clone())).build();
    let managers = ProcessManagerRunner::new(store, scales).process_manager::<Weighing>().max_retries(0).spawn();
    let stopped = managers.wait_for(placed.position).await.unwrap_err();
    let source = std::error::Error::source(&stopped).unwrap().to_string();
    assert!(source.starts_with("command `Weigh`"), "{source}");

    let event = OrderPlaced { customer: "Ada".into(), cents: 1, address: "here".into() };
    let failed = process::<Weighing>().when(StreamId::new("Order", order), event).then_failed();
    assert_eq!(failed.cause().to_string(), source);
}

/// A test that expected it passed, as both were shown alike.
#[test]
fn an_event_that_cannot_be_stored_later_fails_its_test() {
    let cancelled = OrderCancelled { reason: "NoCredit".into() };
    let failed = process::<Weighing>().when(StreamId::new("Order", Uuid::now_v7()), cancelled).then_failed();
    assert!(failed.cause().to_string().contains("`Weighed`"), "{}", failed.cause());
}
