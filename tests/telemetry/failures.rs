//! How failures are told: in which component's name, and with what they say only where that is asked for.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{MemoryStore, SqliteStore, SqliteTransaction, StreamId};
use eventsource_runtime::telemetry::{MAX_TEXT, TelemetryBuilder};
use eventsource_tests::logged::listen;
use eventsource_tests::orders::{Order, OrderCancelled, OrderPlaced, OrdersByStatus};
use eventsource_tests::own_store;
use eventsource_tests::recorder::Recorder;
use opentelemetry::logs::Severity;
use opentelemetry::trace::Status;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLogRecord};
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry};
use uuid::Uuid;

use crate::logs::{attribute, names, recorded, records};
use crate::{bus, place};

#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error("card {0} declined")]
    Declined(String),
    #[error("no answer")]
    Silent(#[source] std::io::Error),
}

/// It has no `Display`.
#[derive(Debug)]
struct Wordless;

/// Nor may anybody ask it.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("an error's own Display")
    }
}

#[traced]
fn fails<E>(error: E) -> Result<(), E>
where
    E: fmt::Debug + fmt::Display,
{
    Err(error)
}

#[traced]
fn wordless() -> Result<(), Wordless> {
    Err(Wordless)
}

#[traced]
async fn declined(card: &str) -> Result<(), PayError> {
    tokio::task::yield_now().await;
    Err(PayError::Declined(card.to_owned()))
}

/// The status of the only span and what the log record says of the same.
async fn told(set: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder, body: impl AsyncFnOnce()) -> (Status, String) {
    let (recorder, logs) = recorded(set);
    recorder.run(body()).await;
    let records = records(&recorder, &logs).await;
    assert_eq!(names(&records), ["eventsource.span.failed"]);
    let spans = recorder.spans();
    assert_eq!(spans.len(), 1);
    (spans[0].status.clone(), attribute(&records[0], "exception.message").unwrap_or_default())
}

#[tokio::test]
async fn what_an_error_says_is_recorded_where_asked_for_and_nowhere_else() {
    let text = "card 4111 declined";
    for (asked, expected) in [(true, text), (false, "")] {
        let set = |builder: TelemetryBuilder| builder.record_error_text(asked);
        let failed = (Status::error(expected), expected.to_owned());
        let error = || PayError::Declined("4111".to_owned());
        assert_eq!(told(set, async || fails(error()).unwrap_err_of()).await, failed);
        assert_eq!(told(set, async || declined("4111").await.unwrap_err_of()).await, failed);
    }
    let unasked = (Status::error(""), String::new());
    assert_eq!(told(|builder| builder, async || declined("4111").await.unwrap_err_of()).await, unasked);
}

/// An error that was expected.
trait Expected {
    fn unwrap_err_of(self);
}

impl<E> Expected for Result<(), E> {
    fn unwrap_err_of(self) {
        assert!(self.is_err());
    }
}

#[tokio::test]
async fn what_an_error_says_is_bounded_and_may_panic_or_be_nothing() {
    let set = |builder: TelemetryBuilder| builder.record_error_text(true);
    let long = "ü".repeat(MAX_TEXT);
    let (status, text) = told(set, async || fails(long).unwrap_err_of()).await;
    assert_eq!((text.len(), &status), (MAX_TEXT, &Status::error(text.clone())));
    let (status, text) = told(set, async || fails(Unspeakable).unwrap_err_of()).await;
    assert_eq!((status, text.as_str()), (Status::error("<panicked>"), "<panicked>"));
    let (status, text) = told(set, async || wordless().unwrap_err_of()).await;
    assert_eq!((status, text.as_str()), (Status::error(""), ""));
}

/// A set-up that asks does not speak for another one in the same process.
#[tokio::test]
async fn each_set_up_asks_for_itself() {
    let asking = Recorder::with(|builder| builder.record_error_text(true));
    asking.run(async { wordless().unwrap_err_of() }).await;
    let (status, text) = told(|builder| builder, async || fails("secret".to_owned()).unwrap_err_of()).await;
    assert_eq!((status, text.as_str()), (Status::error(""), ""));
}

struct Follows;

#[projection(enable_tracing = true)]
impl Follows {
    fn placed(&self, _: &Recorded<OrderPlaced>, _: &SqliteTransaction<'_>) -> Result<(), PayError> {
        Err(PayError::Silent(std::io::Error::other("the line is dead")))
    }

    #[projection(reset)]
    fn clear(&self, _: &SqliteTransaction<'_>) {}
}

async fn project(store: &SqliteStore, last: Position) {
    let runner = ProjectionRunner::new(store.clone()).projection(Follows).max_retries(0).on_failure(OnFailure::Skip);
    let running = runner.spawn();
    running.wait_for(last).await.unwrap();
    running.shutdown().await.unwrap();
}

async fn handle(messages: &InProcessBus) {
    let fails = async |_: Received| Err::<(), _>(HandlerError::new("out of stock"));
    let running = messages.subscribe("inventory").max_retries(0).handle(fails).await.unwrap();
    messages.publish(Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}")).await.unwrap();
    while running.tally().dead_lettered < 1 {
        tokio::task::yield_now().await;
    }
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn components_tell_what_errors_and_their_causes_say_and_a_refusal_keeps_its_span_clean() {
    let (recorder, logs) = recorded(|builder| builder.record_error_text(true));
    let store = SqliteStore::open(":memory:").await.unwrap();
    let order = Uuid::now_v7();
    let refusal = recorder
        .run(async {
            let placed = bus(&store).dispatch(place(order)).await.unwrap();
            project(&store, placed.position).await;
            handle(&InProcessBus::new()).await;
            bus(&store).dispatch(place(order)).await.unwrap_err()
        })
        .await;
    let records = records(&recorder, &logs).await;
    let of = |name: &str| {
        let found = records.iter().filter(|record| record.event_name() == Some(name));
        found.filter_map(|record| attribute(record, "exception.message")).collect::<BTreeSet<_>>()
    };
    assert_eq!(of("eventsource.command.rejected"), BTreeSet::from([refusal.to_string()]));
    let failed = ["no answer: the line is dead", "out of stock"].map(str::to_owned);
    assert_eq!(of("eventsource.span.failed"), BTreeSet::from(failed.clone()));
    let spans = recorder.spans();
    let status = |name: &str| {
        let found = spans.iter().filter(|span| span.name == name);
        found.map(|span| span.status.clone()).filter(|status| *status != Status::Unset).collect::<Vec<_>>()
    };
    assert_eq!(status("projection.Follows")[0], Status::error(failed[0].clone()));
    assert_eq!(status("event_bus.handle"), [Status::error(failed[1].clone())]);
    assert_eq!(status("command.PlaceOrder"), []);
}

/// Counts how often it fails.
struct Fails(Arc<AtomicUsize>);

#[projection]
impl Fails {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), PayError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(PayError::Declined("4111".into()))
    }
}

/// With spans off nothing else says what it was; and each failure of a projection was two lines.
#[tokio::test]
async fn what_fails_without_a_span_is_named_and_told_once() {
    let (recorder, logs) = recorded(|builder| builder);
    let (store, fails) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let failing = async {
        let placed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
        let runner = ProjectionRunner::new(store.clone()).projection(Fails(Arc::clone(&fails)));
        let running = runner.max_retries(2).on_failure(OnFailure::Skip).spawn();
        running.wait_for(placed.position).await.unwrap();
        running.shutdown().await.unwrap();
        let queries = QueryBus::builder().enable_tracing(false).build();
        queries.execute(OrdersByStatus { status: "placed".into() }).await.unwrap_err();
        CommandBus::builder().enable_tracing(false).build().dispatch(place(Uuid::now_v7())).await.unwrap_err();
    };
    recorder.run(failing).await;
    let records = records(&recorder, &logs).await;
    let failed = records.iter().filter(|record| record.event_name() == Some("eventsource.span.failed"));
    let told = |record: &SdkLogRecord| {
        ["eventsource.span.name", "eventsource.position"].map(|key| attribute(record, key).unwrap_or_default())
    };
    let mut expected = vec![["projection.Fails".to_owned(), "Int(1)".to_owned()]; fails.load(Ordering::SeqCst)];
    assert!(expected.len() > 1, "it was not retried");
    expected.extend(["query.OrdersByStatus", "command.PlaceOrder"].map(|name| [name.to_owned(), String::new()]));
    assert_eq!(failed.map(told).collect::<Vec<_>>(), expected);
}

/// It was told as a read of the snapshot that failed.
#[tokio::test]
async fn a_read_of_events_that_fails_without_a_span_is_told_by_its_name() {
    let (recorder, logs) = recorded(|builder| builder);
    let store = SqliteStore::open(":memory:").await.unwrap().enable_tracing(false).enable_metrics(false);
    store.close().await;
    let orders = Repository::<Order, _>::new(store);
    recorder.run(async { drop(orders.load(&Uuid::now_v7()).await.unwrap_err()) }).await;
    let records = records(&recorder, &logs).await;
    let mut failed = records.iter().filter_map(|record| attribute(record, "eventsource.span.name"));
    assert_eq!(failed.next().as_deref(), Some("event_store.load"));
}

/// The targets of what fails, or is slow, in each component.
#[derive(Clone, Default)]
struct Targets(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Targets {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        const TOLD: [&str; 3] = ["eventsource.append.conflict", "eventsource.span.failed", "eventsource.store.slow"];
        if TOLD.contains(&event.metadata().name()) {
            self.0.lock().unwrap().insert(event.metadata().target().to_owned());
        }
    }
}

async fn conflict<S: EventStore + SnapshotStore>(store: &S) {
    let orders = Repository::<Order, _>::new(store.clone());
    let expected = ExpectedVersion::Exact(Version::new(1));
    orders.append(&Uuid::now_v7(), expected, OrderCancelled { reason: "too slow".into() }).await.unwrap_err();
}

/// Each conflict was two errors in the log, even of a command that then succeeded.
#[tokio::test]
async fn a_conflict_is_no_error_in_the_log() {
    let (recorder, logs) = recorded(|builder| builder);
    recorder.run(conflict(&MemoryStore::new())).await;
    let records = records(&recorder, &logs).await;
    // Of the append, and of what persists.
    assert_eq!(names(&records), ["eventsource.append.conflict"; 2]);
    for record in &records {
        assert_eq!(record.severity_number(), Some(Severity::Info));
        assert_eq!(attribute(record, "error.type").as_deref(), Some("conflict"));
    }
    assert!(recorder.spans().iter().all(|span| span.status == Status::error("")));
}

async fn targets(filter: &str) -> Vec<String> {
    let seen = Targets::default();
    let subscriber = Registry::default().with(seen.clone().with_filter(EnvFilter::new(filter)));
    let _default = listen(subscriber);
    let recorder = Recorder::with(|builder| builder.log_slow(std::time::Duration::ZERO));
    let everything = async {
        let sqlite = SqliteStore::open(":memory:").await.unwrap();
        conflict(&sqlite).await;
        conflict(&MemoryStore::new()).await;
        conflict(&own_store::remote()).await;
        let placed = bus(&sqlite).dispatch(place(Uuid::now_v7())).await.unwrap();
        project(&sqlite, placed.position).await;
        handle(&InProcessBus::new()).await;
        QueryBus::builder().build().execute(OrdersByStatus { status: "placed".into() }).await.unwrap_err();
        wordless().unwrap_err_of();
    };
    recorder.run(everything).await;
    seen.0.lock().unwrap().iter().cloned().collect()
}

#[tokio::test]
async fn each_component_logs_under_a_target_of_its_own_that_a_filter_can_tell() {
    let all = [
        "eventsource::bus::in_process",
        "eventsource::command",
        "eventsource::projection",
        "eventsource::query",
        "eventsource::span",
        "eventsource::store",
        "eventsource::store::memory",
        "eventsource::store::sqlite",
    ];
    assert_eq!(targets("eventsource=info").await, all);
    assert_eq!(targets("off,eventsource::store::sqlite=info").await, ["eventsource::store::sqlite"]);
    assert_eq!(targets("off,eventsource::span=info").await, ["eventsource::span"]);
    let without = targets("eventsource=info,eventsource::store::sqlite=off,eventsource::bus=off").await;
    assert_eq!(without, [all[1], all[2], all[3], all[4], all[5], all[6]]);
}

#[traced]
fn breaks() {
    panic!("as it must");
}

#[traced]
async fn breaks_later() {
    tokio::task::yield_now().await;
    breaks();
}

#[tokio::test]
async fn a_panic_is_logged_once_in_each_span_that_it_ends() {
    let (recorder, logs) = recorded(|builder| builder.record_error_text(true));
    recorder.run(async { catch_unwind(AssertUnwindSafe(breaks)).unwrap_err() }).await;
    let task = tokio::spawn(recorder.telemetry().run(breaks_later()));
    assert!(task.await.unwrap_err().is_panic());
    let records = records(&recorder, &logs).await;
    assert_eq!(names(&records), ["eventsource.span.failed"; 3]);
    let spans = recorder.spans();
    let ended: BTreeSet<_> = spans.iter().map(|span| span.span_context.span_id().to_string()).collect();
    let logged: BTreeSet<_> =
        records.iter().map(|record| record.trace_context().unwrap().span_id.to_string()).collect();
    assert_eq!((ended.len(), &ended), (3, &logged));
    for record in &records {
        assert_eq!(attribute(record, "error.type").as_deref(), Some("panic"));
        assert_eq!(attribute(record, "exception.message"), None, "what a panic says may be anything");
        assert_eq!(record.target().unwrap(), "eventsource::span");
    }
    assert!(spans.iter().all(|span| span.status == Status::error("")));
}

#[derive(Query, Clone, Deserialize)]
#[query(output = bool)]
struct Breaks;

struct Answers;

#[query_handler]
impl Answers {
    fn breaks(&self, _: Breaks) -> Result<bool, Infallible> {
        panic!("as it must")
    }
}

#[tokio::test]
async fn a_panic_of_a_handler_is_logged_where_nobody_gets_its_span() {
    let logs = InMemoryLogExporter::default();
    let telemetry = Telemetry::builder("tests").log_exporter(logs.clone()).build().unwrap();
    let answer = telemetry.run(async { QueryBus::builder().handler(Answers).build().execute(Breaks).await });
    assert!(tokio::spawn(answer).await.unwrap_err().is_panic());
    telemetry.force_flush().await.unwrap();
    let records: Vec<_> = logs.get_emitted_logs().unwrap().into_iter().map(|log| log.record).collect();
    assert_eq!(names(&records), ["eventsource.span.failed"]);
    assert_eq!(attribute(&records[0], "error.type").as_deref(), Some("panic"));
    assert!(records[0].trace_context().is_some());
}

/// Panics at what is logged under a target.
struct Broken(&'static str);

impl<S: Subscriber> Layer<S> for Broken {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        assert_ne!(event.metadata().target(), self.0, "a subscriber's own");
    }
}

/// A subscriber that breaks when it hears of a panic would end the process.
#[test]
fn a_subscriber_that_panics_at_a_panic_does_no_harm() {
    let recorder = Recorder::new();
    let attached = recorder.telemetry().attach();
    let _default = listen(Registry::default().with(Broken("eventsource::span")));
    catch_unwind(AssertUnwindSafe(breaks)).unwrap_err();
    drop(attached);
    assert_eq!(recorder.spans().len(), 1);
}

/// It ended the thread of a store that writes, and the store was closed.
#[tokio::test]
async fn a_subscriber_that_panics_does_no_harm_to_what_it_hears_of() {
    let (seen, memory) = (Targets::default(), "eventsource::store::memory");
    let _default = listen(Registry::default().with(seen.clone()).with(Broken(memory)));
    Recorder::new().run(conflict(&MemoryStore::new())).await;
    assert!(seen.0.lock().unwrap().contains(memory));
}
