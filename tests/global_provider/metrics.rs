//! Where metrics go while what is installed changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{Message, Received, Relay};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{MemoryStore, Position};
use eventsource_runtime::telemetry::Telemetry;
use eventsource_tests::exporters::{Deed, Hostile};
use eventsource_tests::hooked::{Asked, Hooked};
use eventsource_tests::logged::Log;
use eventsource_tests::orders::{Order, OrderCancelled, PlaceOrder};
use eventsource_tests::own_bus::{remote, routing};
use eventsource_tests::placing::place;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry::global;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use uuid::Uuid;

use crate::TURN;

/// Every gauge, and what it tells of.
const GAUGES: [&str; 10] = [
    "eventsource.bus.connected kafka",
    "eventsource.bus.connected rabbitmq",
    "eventsource.consumer.lag kafka",
    "eventsource.consumer.lag rabbitmq",
    "eventsource.consumer.running kafka",
    "eventsource.projection.gap Cancellations",
    "eventsource.projection.rebuild.progress Cancellations",
    "eventsource.projection.running Cancellations",
    "eventsource.relay.gap out",
    "eventsource.relay.running out",
];

struct Cancellations;

#[projection]
impl Cancellations {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) {}

    #[projection(reset)]
    fn forget(&self) {}
}

/// A provider of somebody else's, and what it exports.
fn theirs() -> (SdkMeterProvider, InMemoryMetricExporter) {
    let exporter = InMemoryMetricExporter::default();
    (SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build(), exporter)
}

/// Takes whatever the test has set away from OpenTelemetry's globals.
fn leave() {
    global::set_meter_provider(SdkMeterProvider::default());
}

/// A set-up that is installed, and its metrics.
fn installed() -> (Telemetry, InMemoryMetricExporter) {
    let exporter = InMemoryMetricExporter::default();
    (Telemetry::builder("ours").metric_exporter(exporter.clone()).install().unwrap(), exporter)
}

fn traces_alone() -> Telemetry {
    Telemetry::builder("traces").span_exporter(InMemorySpanExporter::default()).install().unwrap()
}

/// Appends one event, which is counted as one conflict: the second append fails.
async fn conflict(store: &MemoryStore) -> Position {
    let orders = Repository::<Order, _>::new(store.clone());
    let (id, reason) = (Uuid::now_v7(), || OrderCancelled { reason: "too slow".into() });
    let appended = orders.append(&id, ExpectedVersion::NoStream, reason()).await.unwrap();
    orders.append(&id, ExpectedVersion::NoStream, reason()).await.unwrap_err();
    appended.position
}

/// A command that has nothing to order.
fn refused() -> PlaceOrder {
    PlaceOrder { lines: Vec::new(), ..place(Uuid::now_v7()) }
}

fn conflicts(exporter: &InMemoryMetricExporter) -> u64 {
    Measured::total(exporter, "eventsource.append.conflicts")
}

/// The gauges that were exported since they were asked for last, with what they tell of.
fn gauges(exporter: &InMemoryMetricExporter) -> BTreeSet<String> {
    let gauges = Measured::all(exporter).into_iter().filter(|point| point.instrument == "gauge");
    exporter.reset();
    let of = ["projection.name", "messaging.system", "eventsource.relay.name"];
    gauges.map(|gauge| format!("{} {}", gauge.name, of.map(|key| gauge.said(key)).concat())).collect()
}

/// Something of each kind that gauges tell of, for as long as the value is kept.
async fn observed(store: MemoryStore) -> impl Sized {
    let projections = ProjectionRunner::new(store.clone()).projection(Cancellations).rebuild().spawn();
    let last = conflict(&store).await;
    projections.wait_for(last).await.unwrap();
    let bus = remote();
    bus.publish(Message::new(StreamId::new("Order", 1), "OrderCancelled", "{}")).await.unwrap();
    let running = bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
    let relay = Relay::new("out", store, routing()).spawn();
    relay.wait_for(last).await.unwrap();
    (projections, bus, running, relay)
}

fn all() -> BTreeSet<String> {
    GAUGES.iter().map(ToString::to_string).collect()
}

/// They stayed for ever with the provider of their first use, even where that was none.
#[tokio::test]
async fn gauges_tell_of_what_was_there_before_the_set_up_that_is_installed() {
    let _turn = TURN.lock().await;
    let kept = observed(MemoryStore::new()).await;
    let (first, in_first) = installed();
    first.force_flush().await.unwrap();
    assert_eq!(gauges(&in_first), all());

    let (second, in_second) = installed();
    first.force_flush().await.unwrap();
    second.force_flush().await.unwrap();
    assert_eq!((gauges(&in_first), gauges(&in_second)), (BTreeSet::new(), all()));

    // What has ended is told of no more.
    drop(kept);
    let others = observed(MemoryStore::new()).await;
    drop(others);
    for told in 0.. {
        second.force_flush().await.unwrap();
        if gauges(&in_second).is_empty() {
            break;
        }
        assert!(told < 10_000, "it goes on");
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn gauges_of_a_scope_and_of_the_process_keep_apart() {
    let _turn = TURN.lock().await;
    let (telemetry, in_process) = installed();
    let in_scope = InMemoryMetricExporter::default();
    let recorder = Recorder::with(|builder| builder.metric_exporter(in_scope.clone()));
    let unread = Recorder::new();
    let kept = (recorder.run(observed(MemoryStore::new())).await, unread.run(observed(MemoryStore::new())).await);
    recorder.flush().await;
    telemetry.force_flush().await.unwrap();
    assert_eq!((gauges(&in_scope), gauges(&in_process)), (all(), BTreeSet::new()));
    drop(kept);

    let kept = observed(MemoryStore::new()).await;
    telemetry.force_flush().await.unwrap();
    assert_eq!(gauges(&in_process), all());
    drop(kept);
    telemetry.shutdown().await.unwrap();
}

/// Nobody says that a provider which others set has been replaced: what is measured next notices.
#[tokio::test]
async fn gauges_tell_a_provider_of_somebody_elses_what_was_there_before() {
    let _turn = TURN.lock().await;
    let store = MemoryStore::new();
    let kept = observed(store.clone()).await;
    for _ in 0..2 {
        let (provider, exporter) = theirs();
        global::set_meter_provider(provider.clone());
        conflict(&store).await;
        provider.force_flush().unwrap();
        assert_eq!(gauges(&exporter), all());
        let (others, in_others) = theirs();
        global::set_meter_provider(others.clone());
        conflict(&store).await;
        provider.force_flush().unwrap();
        others.force_flush().unwrap();
        assert_eq!((gauges(&exporter), gauges(&in_others)), (BTreeSet::new(), all()));
    }
    leave();
    drop(kept);
}

/// Moving the head of the gap takes a query.
#[tokio::test]
async fn a_projection_asks_for_the_head_again_only_where_gauges_are_read() {
    let _turn = TURN.lock().await;
    let store = MemoryStore::new();
    let mut last = Position::START;
    // So many that they are applied at once.
    for _ in 0..8 {
        last = conflict(&store).await;
    }
    let asked = async || {
        let heads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heads);
        let hooked = Hooked::new(&store, move |asked| {
            count.fetch_add(usize::from(asked == Asked::Head), Ordering::SeqCst);
            std::future::ready(())
        });
        let projections = ProjectionRunner::new(hooked).projection(Cancellations).rebuild().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        heads.load(Ordering::SeqCst)
    };
    // When it starts, and when it has emptied its read model.
    let at_least = 2;
    assert_eq!(asked().await, at_least, "nothing is installed");
    assert_eq!(Recorder::new().run(asked()).await, at_least, "the scope has no reader");
    let telemetry = traces_alone();
    assert_eq!(asked().await, at_least, "nothing reads metrics");
    let (provider, _) = theirs();
    global::set_meter_provider(provider);
    assert!(asked().await > at_least, "theirs does");
    leave();
    telemetry.shutdown().await.unwrap();
}

/// A set-up without a reader took the globals away from theirs, and discarded what this crate measured.
#[tokio::test]
async fn traces_alone_leave_the_meters_to_whoever_has_set_them() {
    let _turn = TURN.lock().await;
    let store = MemoryStore::new();
    let (provider, exporter) = theirs();
    global::set_meter_provider(provider.clone());
    let telemetry = traces_alone();
    conflict(&store).await;
    global::meter("anybody").u64_counter("theirs").build().add(1, &[]);
    provider.force_flush().unwrap();
    assert_eq!((conflicts(&exporter), Measured::total(&exporter, "theirs")), (1, 1));

    // The other order.
    let (later, exporter) = theirs();
    global::set_meter_provider(later.clone());
    conflict(&store).await;
    later.force_flush().unwrap();
    assert_eq!(conflicts(&exporter), 1);

    telemetry.shutdown().await.unwrap();
    conflict(&store).await;
    later.force_flush().unwrap();
    assert_eq!(conflicts(&exporter), 2, "they stay");
    leave();
}

/// Only the tracer provider was watched.
#[tokio::test]
async fn meters_that_are_set_after_a_set_up_are_used_instead_of_its_own() {
    let _turn = TURN.lock().await;
    let store = MemoryStore::new();
    let (telemetry, ours) = installed();
    conflict(&store).await;
    telemetry.force_flush().await.unwrap();
    assert_eq!(conflicts(&ours), 1);

    let (provider, exporter) = theirs();
    global::set_meter_provider(provider.clone());
    conflict(&store).await;
    telemetry.force_flush().await.unwrap();
    provider.force_flush().unwrap();
    assert_eq!((conflicts(&ours), conflicts(&exporter)), (1, 1));

    telemetry.shutdown().await.unwrap();
    conflict(&store).await;
    provider.force_flush().unwrap();
    assert_eq!(conflicts(&exporter), 2, "they stay");
    leave();
}

/// From when on a command is slow says the set-up, whoever has its metrics.
#[tokio::test]
async fn what_is_slow_is_told_whoever_reads_metrics() {
    let _turn = TURN.lock().await;
    let (log, _guard) = Log::of_thread();
    let orders = CommandBus::builder().aggregate(Repository::<Order, _>::new(MemoryStore::new())).build();
    let dispatched = async || {
        orders.dispatch(refused()).await.unwrap_err();
        log.names_of("eventsource::command").iter().filter(|name| *name == "eventsource.command.slow").count()
    };
    let telemetry = Telemetry::builder("slow").log_slow(Duration::ZERO).install().unwrap();
    assert_eq!(dispatched().await, 1, "nobody");
    let (provider, _) = theirs();
    global::set_meter_provider(provider);
    assert_eq!(dispatched().await, 2, "somebody else");
    leave();
    telemetry.shutdown().await.unwrap();
    assert_eq!(dispatched().await, 2, "it took no second");
}

/// Its own meter has no reader, and nobody knew that spans were lost.
#[tokio::test]
async fn what_a_set_up_without_metrics_loses_is_told_to_whoever_reads_them() {
    let _turn = TURN.lock().await;
    let telemetry = Telemetry::builder("traces").span_exporter(Hostile::new(Deed::Refuse)).install().unwrap();
    let (provider, exporter) = theirs();
    global::set_meter_provider(provider.clone());
    conflict(&MemoryStore::new()).await;
    telemetry.force_flush().await.unwrap_err();
    provider.force_flush().unwrap();
    let lost = Measured::total(&exporter, "otel.sdk.processor.span.processed");
    assert!(lost > 0);
    telemetry.shutdown().await.unwrap();
    drop(telemetry);
    // A counter does not fall: the difference would be more than any number of spans.
    exporter.reset();
    provider.force_flush().unwrap();
    assert!(Measured::total(&exporter, "otel.sdk.processor.span.processed") >= lost);
    leave();
}
