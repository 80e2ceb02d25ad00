//! All that is emitted is listed, and all that is listed is emitted: the whole product runs, and is held against the
//! registry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::dispatch::CommandBus;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, OnFailure, Partition, ProjectionStore};
use eventsource_runtime::store::{Filter, SqliteStore, SqliteTransaction};
use eventsource_runtime::telemetry;
use eventsource_tests::clocks::Moved;
use eventsource_tests::logged::Log;
use eventsource_tests::orders::{
    NotificationService, Order, OrderCancelled, OrderPlaced, OrderQueries, OrderReadModel, OrdersByStatus, PlaceOrder,
    ShipOrder,
};
use eventsource_tests::placing;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::{Measured, Registry};
use eventsource_tests::scratch::Scratch;
use eventsource_tests::shipping;
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::logs::in_memory_exporter::LogDataWithResource;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::Metric;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use tracing_subscriber::layer::SubscriberExt as _;
use uuid::Uuid;

use crate::exporter::exporters_in_trouble;
use crate::seldom;
use crate::starts::Starts;

/// The spans of the domain's own functions.
const USERS: [&str; 4] =
    ["notification_service.send_email", "projection.insert_read_model", "projection.update_read_model", "users.own"];

/// Log events that take a broker, another process, a broken bus, a refusal or time. The tests that have these hear
/// them, and hold them against the registry (`Log::hears`): `conformance` those of buses and of databases,
/// `integration` those of snapshots, of slow projections and of refused managers, and `logged` that of settings.
const NOT_LOGGED_HERE: [&str; 11] = [
    "eventsource.bus.dead_letter_waits",
    "eventsource.bus.kafka.",
    "eventsource.bus.rabbitmq.",
    "eventsource.bus.stopped",
    "eventsource.bus.unsettled",
    "eventsource.process_manager.refusal_ignored",
    "eventsource.projection.slow",
    "eventsource.snapshot.lost",
    "eventsource.store.postgres.",
    "eventsource.store.sqlite.",
    "eventsource.telemetry.setting",
];

/// The conventions whose names the registry takes.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

#[tokio::test]
async fn what_is_emitted_is_listed_and_what_is_listed_is_emitted() {
    let (metrics, log, starts) = (InMemoryMetricExporter::default(), Log::default(), Starts::default());
    // For the threads of the exporters and the stores too.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone())).unwrap();
    let records = InMemoryLogExporter::default();
    let recorder = Recorder::with(|builder| {
        let builder = builder.metric_exporter(metrics.clone()).span_exporter(InMemorySpanExporter::default());
        let builder = builder.log_exporter(records.clone());
        builder.sampler(starts.clone()).log_slow(Duration::ZERO).record_error_text(true)
    });
    recorder.run(product(&recorder, &log)).await;
    let (as_logs, events) = as_logs().await;
    exporters_in_trouble();
    let registry = Registry::load();
    let mut seen = Seen::default();
    starts.check(registry, &recorder.spans(), &mut seen.faults);
    let (faults, logged) = log.check(registry);
    seen.faults.extend(faults);
    let spans = [recorder.spans(), as_logs].concat();
    seen.faults.extend(log.check_ids(registry, &spans));
    let exported = [records.get_emitted_logs().unwrap(), events].concat();
    seen.records(registry, &exported, &spans, &logged.keys().map(String::as_str).collect::<Vec<_>>());
    for span in recorder.spans() {
        seen.scope(&span.instrumentation_scope);
        seen.span(registry, &span);
    }
    for resource in metrics.get_finished_metrics().unwrap() {
        for scope in resource.scope_metrics() {
            seen.scope(scope.scope());
            for metric in scope.metrics() {
                seen.metric(registry, metric);
            }
        }
    }
    assert!(seen.faults.is_empty(), "{:#?}", seen.faults);
    assert_eq!(missing(registry.span_groups(), &seen.spans), Vec::<&str>::new(), "spans that nothing emits");
    let names = registry.metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(missing(names, &seen.metrics), Vec::<&str>::new(), "metrics that nothing emits");
    let never =
        registry.borne().into_iter().filter(|&(by, key)| !seen.borne.contains(&(by.to_owned(), key.to_owned())));
    assert_eq!(never.collect::<Vec<_>>(), Vec::new(), "attributes that nothing bears");
    let here = |name: &&str| !NOT_LOGGED_HERE.iter().any(|elsewhere| name.starts_with(elsewhere));
    let names: Vec<_> = registry.logs().into_iter().filter(here).collect();
    assert_eq!(missing(names, &logged.keys().cloned().collect()), Vec::<&str>::new(), "log events that nothing logs");
    for (name, fields) in &logged {
        assert_eq!(missing(registry.log_fields(name), fields), Vec::<&str>::new(), "fields that `{name}` never has");
    }
}

/// The version of the crates, which the workspace says once.
fn version() -> &'static str {
    let mut lines = include_str!("../../Cargo.toml").lines();
    lines.find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).expect("it has one")
}

/// The span events of a command as log events, which are exported too.
async fn as_logs() -> (Vec<SpanData>, Vec<LogDataWithResource>) {
    let records = InMemoryLogExporter::default();
    let recorder = Recorder::with(|builder| builder.log_exporter(records.clone()).span_events_as_logs());
    recorder.run(bus(&MemoryStore::new()).dispatch(place(Uuid::now_v7()))).await.unwrap();
    recorder.run(seldom::flood()).await;
    recorder.flush().await;
    (recorder.spans(), records.get_emitted_logs().unwrap())
}

fn missing<'a>(listed: Vec<&'a str>, seen: &BTreeSet<String>) -> Vec<&'a str> {
    listed.into_iter().filter(|name| !seen.contains(*name)).collect()
}

#[derive(Default)]
struct Seen {
    spans: BTreeSet<String>,
    metrics: BTreeSet<String>,
    /// The groups of what bears an attribute, with the attribute's key.
    borne: BTreeSet<(String, String)>,
    faults: BTreeSet<String>,
}

impl Seen {
    /// The page names the scope; its version and its schema are what tells a receiver how to read what it gets.
    fn scope(&mut self, scope: &InstrumentationScope) {
        let found = (scope.name(), scope.version(), scope.schema_url());
        if found != ("eventsource-runtime", Some(version()), Some(SCHEMA)) {
            self.faults.insert(format!("{found:?} is not the scope of ours"));
        }
    }

    fn span(&mut self, registry: &Registry, span: &SpanData) {
        let Some(group) = registry.span_group(span) else {
            if !USERS.contains(&&*span.name) {
                self.faults.insert(format!("span `{}` is not listed", span.name));
            }
            return;
        };
        self.spans.insert(group.to_owned());
        self.faults.extend(registry.check_span(span));
        self.bears(registry.borne_by_span(span));
    }

    /// What is exported of the log: the same, but for what another set-up's exporters are in trouble with.
    fn records(&mut self, registry: &Registry, records: &[LogDataWithResource], spans: &[SpanData], logged: &[&str]) {
        for exported in records {
            self.scope(&exported.instrumentation);
        }
        let log = Log::exported(records);
        let (faults, exported) = log.check(registry);
        let faults = faults.into_iter().chain(log.check_ids(registry, spans));
        self.faults.extend(faults.map(|fault| format!("exported: {fault}")));
        let exported = exported.into_keys().collect();
        let logged = logged.iter().copied().filter(|name| !name.starts_with("eventsource.telemetry."));
        let lost = missing(logged.collect(), &exported);
        self.faults.extend(lost.into_iter().map(|name| format!("log event `{name}` is not exported")));
    }

    fn bears(&mut self, borne: Vec<(&str, &str)>) {
        self.borne.extend(borne.into_iter().map(|(by, key)| (by.to_owned(), key.to_owned())));
    }

    fn metric(&mut self, registry: &Registry, metric: &Metric) {
        for measured in Measured::of(metric) {
            self.metrics.insert(metric.name().to_owned());
            self.faults.extend(registry.check_metric(&measured));
            self.bears(registry.borne_by_metric(&measured));
        }
    }
}

fn place(order_id: Uuid) -> PlaceOrder {
    PlaceOrder { user_id: "u".repeat(telemetry::MAX_TEXT + 1), ..placing::place(order_id) }
}

/// Its clock is ahead, so that lags come out negative.
fn bus<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    let clock = Arc::new(Moved::ahead(Duration::from_hours(1)));
    CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone()).with_clock(clock)).build()
}

/// Everything that the crates do, at least once.
async fn product(recorder: &Recorder, log: &Log) {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    write_side(&store).await;
    malformed_context(&scratch.file(), &store).await;
    let _observed = crate::buses::all().await;
    read_side(&store, recorder, log).await;
    process_manager().await;
    NotificationService::new(true).send_email("ada@example.org", "hello").await.unwrap();
    let remote = seldom::remote();
    bus(&remote).dispatch(place(Uuid::now_v7())).await.unwrap();
    snapshots(&Repository::new(remote)).await;
    seldom::read_from_afar().await;
    seldom::spoilt().await;
    seldom::second_attempt().await;
    seldom::left_timeout(log).await;
    seldom::unreadable().await;
    recorder.flush().await;
    store.close().await;
}

async fn write_side(store: &SqliteStore) {
    let (bus, order) = (bus(store), Uuid::now_v7());
    bus.dispatch(place(order)).await.unwrap();
    bus.dispatch(place(order)).await.unwrap_err();
    bus.dispatch(ShipOrder { order_id: order, carrier: "North Post".into(), tracking: "T-1".into() }).await.unwrap();
    bus.dispatch_json("RefundOrder", b"{}").await.unwrap_err();
    bus.dispatch_json("PlaceOrder", b"{}").await.unwrap_err();
    conflicts(store).await;

    let orders = Repository::<Order, _>::new(store.clone());
    assert!(orders.exists(&order).await.unwrap());
    // One more than a span keeps events.
    let many = vec![cancelled(); 129];
    orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, many).await.unwrap();

    snapshots(&orders).await;

    // Dropped after one poll, which is most often where it waits for the store.
    let poll_once = telemetry::span("users.own").run(async {
        let mut dispatched = std::pin::pin!(bus.dispatch(place(Uuid::now_v7())));
        std::future::poll_fn(|task| std::task::Poll::Ready(dispatched.as_mut().poll(task).is_ready())).await
    });
    poll_once.await;
}

/// One that is due behind a command, one by hand, and what becomes of them.
async fn snapshots<S: EventStore + SnapshotStore>(orders: &Repository<Order, S>) {
    let (bus, order) = (CommandBus::builder().aggregate(orders.clone()).build(), Uuid::now_v7());
    orders.append(&order, ExpectedVersion::NoStream, (vec![cancelled(); 98], placed())).await.unwrap();
    bus.dispatch(ShipOrder { order_id: order, carrier: "North Post".into(), tracking: "T-1".into() }).await.unwrap();
    orders.snapshots_written().await;
    assert!(orders.snapshot_exists(&order).await.unwrap());
    assert_eq!(orders.create_snapshot(&order).await.unwrap(), Some(Version::new(100)));
    assert!(orders.delete_snapshot(&order).await.unwrap());
    orders.delete_snapshots().await.unwrap();
}

fn placed() -> OrderPlaced {
    OrderPlaced { customer: "Ada".into(), lines: Vec::new(), shipping_address: "1 Analytical Row".into() }
}

fn cancelled() -> OrderCancelled {
    OrderCancelled { reason: "too slow".into() }
}

/// Commands for one order, from several tasks at once, until two of them have met.
async fn conflicts(store: &SqliteStore) {
    let orders = Repository::<Order, _>::new(store.clone()).max_retries(1000);
    let bus = Arc::new(CommandBus::builder().aggregate(orders).build());
    for _ in 0..50 {
        let order = Uuid::now_v7();
        let race = |bus: &Arc<CommandBus>| {
            let bus = Arc::clone(bus);
            async move { bus.dispatch(place(order)).await }
        };
        let (first, second) = tokio::join!(race(&bus), race(&bus));
        assert!(first.is_ok() != second.is_ok());
    }
}

/// A row whose context nobody can read, as a foreign tool might have left it.
async fn malformed_context(path: &std::path::Path, store: &SqliteStore) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let insert = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, \
        traceparent, payload) VALUES ('Elsewhere-1', 1, randomblob(16), 'Foreign', 1, 0, 'nonsense', x'7b7d')";
    connection.execute(insert, []).unwrap();
    let page = store.read_all(Position::START, &Filter::all().event_types(["Foreign"]), 10_000).await.unwrap();
    assert_eq!(page.events[0].trace_context, None);
}

async fn read_side(store: &SqliteStore, recorder: &Recorder, log: &Log) {
    let bus = bus(store);
    let mut last = Position::START;
    for _ in 0..70 {
        last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    }
    let runner = || ProjectionRunner::new(store.clone()).projection(OrderReadModel);
    let projections = runner().spawn();
    projections.wait_for(last).await.unwrap();
    last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    projections.wait_for(last).await.unwrap();
    recorder.flush().await;
    projections.shutdown().await.unwrap();

    let projections = runner().rebuild().spawn();
    projections.wait_for(last).await.unwrap();
    recorder.flush().await;
    projections.shutdown().await.unwrap();

    let failing = ProjectionRunner::new(store.clone()).projection(Failing).max_retries(1).spawn();
    failing.wait_for(last).await.unwrap_err();
    failing.shutdown().await.unwrap_err();
    set_aside(store, &bus).await;
    long_past().await;
    // Of so many log records at once some would be lost.
    recorder.flush().await;
    lease_lost(store, &bus, log).await;

    let queries = QueryBus::builder().handler(OrderQueries::new(store.reader())).build();
    queries.execute(OrdersByStatus { status: "placed".into() }).await.unwrap();
    queries.execute_json("Unheard", b"{}").await.unwrap_err();
    recorder.flush().await;
}

/// Reads a past that is long enough for a batch of more than 128 events: the first two are of 64, and each later one
/// may have twice as many, if it is quick: of so many some are.
async fn long_past() {
    struct Placed;

    #[projection]
    impl Placed {
        fn placed(&self, _: &Recorded<OrderPlaced>) {}
    }

    let store = MemoryStore::new();
    let (bus, mut last) = (bus(&store), Position::START);
    for _ in 0..3000 {
        last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    }
    let projections = ProjectionRunner::new(store).projection(Placed).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
}

async fn set_aside(store: &SqliteStore, bus: &CommandBus) {
    for policy in [OnFailure::DeadLetter, OnFailure::Skip] {
        let last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
        let runner = ProjectionRunner::new(store.clone()).projection(Failing).max_retries(0).on_failure(policy);
        let passing = runner.spawn();
        passing.wait_for(last).await.unwrap();
        passing.shutdown().await.unwrap();
    }
}

/// A payment is refused, and the order cancelled.
async fn process_manager() {
    let store = MemoryStore::new();
    let bus = shipping::commands(&store);
    let managers = ProcessManagerRunner::new(store, bus.clone()).process_manager::<shipping::Shipping>().spawn();
    let (order_id, customer, address) = (Uuid::now_v7(), "Mallory".to_owned(), "9 Back Street".to_owned());
    let placed = bus.dispatch(shipping::PlaceOrder { order_id, customer, cents: 1, address }).await.unwrap();
    managers.wait_for(placed.position).await.unwrap();
    managers.shutdown().await.unwrap();
}

/// Another has the lease for a moment, takes it again, and a third time without giving it up.
async fn lease_lost(store: &SqliteStore, bus: &CommandBus, log: &Log) {
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    store.lease_projection(Partition::whole("OrderReadModel"), claim.clone()).await.unwrap();
    let runner = || ProjectionRunner::new(store.clone()).projection(OrderReadModel);
    let rebuild = runner().rebuild().spawn();
    log.hears("eventsource.projection.rebuild_waits").await;
    rebuild.shutdown().await.unwrap();
    let projections = runner().spawn();
    log.hears("eventsource.projection.waits").await;
    store.lease_projection(Partition::whole("OrderReadModel"), claim.given_up()).await.unwrap();
    projections.wait_for(store.head().await.unwrap()).await.unwrap();
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_millis(1)).by_force();
    store.lease_projection(Partition::whole("OrderReadModel"), claim).await.unwrap();
    let last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_millis(100)).by_force();
    store.lease_projection(Partition::whole("OrderReadModel"), claim).await.unwrap();
    let projections = runner().spawn();
    log.hears("eventsource.projection.lease_expired").await;
    projections.shutdown().await.unwrap();
}

struct Failing;

#[projection(enable_tracing = true)]
impl Failing {
    fn placed(&self, _: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("SELECT * FROM nowhere")?)
    }
}
