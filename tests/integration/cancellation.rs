//! Futures that are dropped, at every point at which they wait.

use std::convert::Infallible;

use eventsource_runtime::bus::{InProcessBus, InProcessOptions, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, SqliteStore};
use eventsource_runtime::telemetry::names;
use eventsource_tests::orders::{Order, OrderQueries, OrderReadModel, OrdersByStatus};
use eventsource_tests::own_store::remote;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use eventsource_tests::scratch::Scratch;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{bus, dropped_after, place, ship, sqlite};

/// Drops a command after every number of polls until one is enough, and checks after each that all is in order.
/// Returns how many polls it took to get to the end.
async fn dropped_everywhere<S: EventStore + SnapshotStore>(store: S) -> usize {
    let recorder = Recorder::new();
    let orders = Repository::<Order, _>::new(store.clone());
    let bus = bus(&store);
    let mut polls = 0;
    loop {
        let order = Uuid::now_v7();
        let done = recorder.run(dropped_after(polls, bus.dispatch(place(order)))).await;
        assert_eq!(recorder.open_spans(), 0, "after {polls} polls");
        assert!(orders.load(&order).await.unwrap().version.get() <= 1);
        // The append may have been made, or be about to be; then the order refuses to be placed again, and goes on.
        let again = bus.dispatch(place(order)).await;
        assert!(again.as_ref().is_ok_and(|again| again.version == 1) || again.is_err_and(|error| error.is_rejected()));
        bus.dispatch(ship(order)).await.unwrap();
        if done.is_some() {
            break;
        }
        polls += 1;
    }
    let page = store.read_all(Position::START, &Filter::all(), 1000).await.unwrap();
    let positions: Vec<_> = page.events.iter().map(|event| event.position.get()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    polls
}

/// A store that makes its callers wait before and after each of the two calls: four points at which a command can be
/// dropped.
#[tokio::test]
async fn a_command_is_dropped_everywhere_far_away() {
    assert!(dropped_everywhere(remote()).await > 4);
}

/// A thread does what is asked, and may be quicker than a command that looks for the answer for a while: until one had
/// to wait.
async fn dropped_where_it_waits(store: &SqliteStore) {
    for _ in 0..100 {
        if dropped_everywhere(store.clone()).await > 1 {
            return;
        }
    }
    panic!("no command ever waits");
}

#[tokio::test]
async fn a_command_is_dropped_everywhere_on_sqlite() {
    dropped_where_it_waits(&sqlite().await).await;
}

#[tokio::test]
async fn no_transaction_is_left_in_a_file() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    dropped_where_it_waits(&store).await;
    let other = rusqlite::Connection::open(scratch.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
    store.close().await;
    drop(other);
}

/// Two commands for one order meet, so that one is decided again after a pause; both are dropped at every point.
#[tokio::test]
async fn a_retry_is_dropped_everywhere() {
    let recorder = Recorder::new();
    let store = remote();
    let bus = bus(&store);
    let mut retried = false;
    for polls in 0.. {
        let order = Uuid::now_v7();
        let both = async { tokio::join!(bus.dispatch(place(order)), bus.dispatch(place(order))) };
        let done = recorder.run(dropped_after(polls, both)).await;
        assert_eq!(recorder.open_spans(), 0, "after {polls} polls");
        retried |= recorder.trees().render().contains("eventsource.retry.count=1");
        if let Some((first, second)) = done {
            assert!(first.is_ok() != second.is_ok());
            break;
        }
    }
    assert!(retried, "they never met");
}

#[tokio::test]
async fn queries_and_waits_are_dropped_everywhere() {
    let recorder = Recorder::new();
    let store = sqlite().await;
    let queries = QueryBus::builder().handler(OrderQueries::new(store.reader())).build();
    let committed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    for polls in 0..20 {
        let projections =
            recorder.run(async { ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn() });
        let projections = projections.await;
        let query = queries.execute(OrdersByStatus { status: "placed".into() });
        drop(recorder.run(dropped_after(polls, query)).await);
        let _ = recorder.run(dropped_after(polls, projections.wait_for(committed.position))).await;
        // Whether it was waited for or not, the projection gets there and stops when it is told to.
        projections.wait_for(committed.position).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(recorder.open_spans(), 0, "after {polls} polls");
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Waited;

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Waited))]
struct Patience;

impl Apply<Waited> for Patience {
    fn apply(&mut self, _: Waited) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Patience)]
struct Wait {
    #[command(id)]
    id: Uuid,
}

/// What the destructor of this does has a span.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        cleaned_up();
    }
}

#[traced]
fn cleaned_up() {}

#[command_handler]
impl Patience {
    async fn wait(&self, _: Wait) -> Result<Waited, Infallible> {
        let _guard = Guard;
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_dropped_command_says_that_it_was_cancelled() {
    let recorder = Recorder::new();
    let bus = CommandBus::builder().aggregate(Repository::<Patience, _>::new(MemoryStore::new())).build();
    let dropped = recorder.run(dropped_after(1, bus.dispatch(Wait { id: Uuid::now_v7() }))).await;
    assert!(dropped.is_none());
    let trees = recorder.trees();
    assert_eq!(trees.names(), "command.Wait(load_aggregate(event_store.load) handle_command(cleaned_up))");
    let rendered = trees.render();
    assert_eq!(rendered.matches("eventsource.cancelled=true").count(), 2, "{rendered}");
    assert!(!rendered.contains("ERROR"), "{rendered}");
}

#[derive(Query, Clone, Deserialize)]
#[query(output = bool)]
struct Ask;

struct Silent;

#[query_handler]
impl Silent {
    async fn ask(&self, _: Ask) -> Result<bool, Infallible> {
        std::future::pending().await
    }
}

/// Those that a caller gave up were missing, and with them the slowest: the durations fell when they should have risen.
#[tokio::test]
async fn dropped_commands_and_queries_are_measured() {
    let (recorder, metrics) = Recorder::measured();
    let commands = CommandBus::builder().aggregate(Repository::<Patience, _>::new(MemoryStore::new())).build();
    let queries = QueryBus::builder().handler(Silent).build();
    let dropped = async {
        assert!(dropped_after(1, commands.dispatch(Wait { id: Uuid::now_v7() })).await.is_none());
        assert!(dropped_after(1, queries.execute(Ask)).await.is_none());
    };
    recorder.run(dropped).await;
    recorder.flush().await;
    let points = Measured::last(&metrics);
    for (side, message) in [("command", "Wait"), ("query", "Ask")] {
        for name in [format!("cqrs.{side}.total"), format!("cqrs.{side}.duration")] {
            let [point] = points.iter().filter(|point| point.name == name).collect::<Vec<_>>()[..] else {
                panic!("{name}: {points:?}")
            };
            let value = |key: &str| {
                let found = point.attributes.iter().find(|attribute| attribute.key.as_str() == key);
                found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
            };
            let ended = [format!("{side}.type"), format!("{side}.status"), "error.type".into()].map(|key| value(&key));
            assert_eq!((point.count, ended), (1, [message, "error", "cancelled"].map(str::to_owned)), "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_cancelled_handler_cleans_up_makes_no_span_below_a_bus_that_is_off() {
    let recorder = Recorder::new();
    let repository = Repository::<Patience, _>::new(MemoryStore::new()).enable_tracing(false);
    let bus = CommandBus::builder().aggregate(repository).enable_tracing(false).build();
    assert!(recorder.run(dropped_after(1, bus.dispatch(Wait { id: Uuid::now_v7() }))).await.is_none());
    assert_eq!(recorder.trees().names(), "");
}

/// Only answers were measured: when a database or a broker hung, what it took fell.
#[tokio::test]
async fn dropped_calls_to_a_store_and_to_a_bus_are_measured() {
    let (recorder, metrics) = Recorder::measured();
    let bus = InProcessBus::with_options(InProcessOptions::default().capacity(1));
    let _stuck = bus.subscribe("stuck").handle(|_: Received| std::future::pending()).await.unwrap();
    let dropped = async {
        assert!(dropped_after(1, remote().read_stream(&StreamId::new("Order", 42), Version::START, 1)).await.is_none());
        let message = || Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}");
        // Until its queue is full.
        while dropped_after(1, bus.publish(message())).await.is_some() {}
    };
    recorder.run(dropped).await;
    recorder.flush().await;
    let points = Measured::last(&metrics);
    for (name, operation) in [
        (names::DB_CLIENT_OPERATION_DURATION, names::DB_OPERATION_NAME),
        (names::MESSAGING_CLIENT_OPERATION_DURATION, names::MESSAGING_OPERATION_NAME),
        (names::MESSAGING_CLIENT_SENT_MESSAGES, names::MESSAGING_OPERATION_NAME),
    ] {
        let cancelled = |point: &&Measured| point.name == name && point.said(names::ERROR_TYPE) == "cancelled";
        let [point] = points.iter().filter(cancelled).collect::<Vec<_>>()[..] else { panic!("{name}: {points:?}") };
        assert_eq!((point.count, point.said(operation).is_empty()), (1, false), "{name}");
    }
}
