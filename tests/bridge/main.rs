//! Spans as spans of `tracing`: the same tree with the same attributes, and each nests in the other.
//!
//! A target of its own, because what runs on a store's threads sees the process's subscriber alone.

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{MemoryStore, SqliteStore};
use eventsource_runtime::telemetry::{self, TelemetryBuilder, TraceContext};
use eventsource_tests::orders::{Order, OrderLine, OrderReadModel, PlaceOrder};
use eventsource_tests::recorder::Recorder;
use tracing::{Instrument, info_span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

fn bridged() -> Recorder {
    Recorder::with(TelemetryBuilder::bridge_to_tracing)
}

fn place() -> PlaceOrder {
    PlaceOrder {
        order_id: Uuid::from_u128(7),
        user_id: "user-7".into(),
        customer: "Ada".into(),
        lines: vec![OrderLine { product: "Keyboard".into(), quantity: 1 }],
        shipping_address: "1 Analytical Row".into(),
    }
}

/// A command, one that is rejected, and what they led to.
async fn product() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store).projection(OrderReadModel).spawn();
    let placed = bus.dispatch(place()).await.unwrap();
    // Before anything else, so that the order of the roots is the same each time.
    projections.wait_for(placed.position).await.unwrap();
    bus.dispatch(place()).await.unwrap_err();
    bus.dispatch_json("Unheard", b"{}").await.unwrap_err();
    projections.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_trees_are_one() {
    let (plain, bridged) = (Recorder::new(), bridged());
    let subscriber = tracing_subscriber::registry().with(bridged.telemetry().tracing_layer());
    tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one in this process");
    plain.run(product()).await;
    bridged.run(product()).await;
    // A span of `tracing` is left by its last handle, on whichever thread.
    bridged.flush().await;
    assert_eq!(bridged.trees().render(), plain.trees().render());
    assert_eq!(bridged.open_spans(), 0);
}

/// A subscriber of this thread alone, around the body.
async fn below(filter: &str, recorder: &Recorder, body: impl Future<Output = ()>) {
    let filter: EnvFilter = filter.parse().unwrap();
    let subscriber = tracing_subscriber::registry().with(filter).with(recorder.telemetry().tracing_layer());
    let _default = tracing::subscriber::set_default(subscriber);
    recorder.run(body).await;
}

#[tokio::test]
async fn each_nests_in_the_other() {
    let recorder = bridged();
    let nested = async {
        let inner = async {
            info_span!("theirs.innermost").in_scope(|| telemetry::span("ours.innermost").in_scope(|| ()));
            tokio::task::yield_now().await;
            telemetry::span("ours.second").in_scope(|| ());
        };
        let theirs = async { telemetry::span("ours.inner").run(inner).instrument(info_span!("theirs")).await };
        telemetry::span("ours").run(theirs).await;
        info_span!("theirs.alone").in_scope(|| ());
    };
    below("info", &recorder, nested).await;
    assert_eq!(
        recorder.trees().names(),
        "ours(theirs(ours.inner(theirs.innermost(ours.innermost) ours.second))) theirs.alone"
    );
}

#[tokio::test]
async fn a_target_can_be_filtered_away() {
    let recorder = bridged();
    let command = async {
        let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(MemoryStore::new())).build();
        bus.dispatch(place()).await.unwrap();
    };
    below("info,eventsource::store=off,eventsource::snapshot=off", &recorder, command).await;
    assert_eq!(recorder.trees().names(), "command.PlaceOrder(load_aggregate handle_command persist_events)");
}

#[tokio::test]
async fn new_roots_links_and_switches_are_as_ever() {
    let recorder = bridged();
    let work = async {
        let first = telemetry::span("first").in_scope(|| TraceContext::current().unwrap());
        let second = telemetry::span("second").options(|options| {
            options.root();
            options.links(&first);
        });
        let third = telemetry::span("third").options(|options| options.parent(&first));
        let off = telemetry::span("off").options(|options| options.enable(false));
        info_span!("around").in_scope(|| {
            second.in_scope(|| ());
            third.in_scope(|| ());
            off.in_scope(|| telemetry::span("below").in_scope(|| ()));
        });
    };
    below("info", &recorder, work).await;
    let trees = recorder.trees();
    assert_eq!(trees.names(), "first(third) around second");
    let linked = &trees.span("second").links.links[0].span_context;
    assert_eq!(*linked, {
        let first = trees.span("first").span_context.clone();
        opentelemetry::trace::SpanContext::new(
            first.trace_id(),
            first.span_id(),
            first.trace_flags(),
            true,
            first.trace_state().clone(),
        )
    });
}

/// Nothing is lost where there is no subscriber, or one without the layer.
#[tokio::test]
async fn without_the_layer_spans_are_opentelemetrys_alone() {
    let recorder = bridged();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry());
    let work = async { telemetry::span("outer").in_scope(|| telemetry::span("inner").in_scope(|| ())) };
    recorder.run(work).await;
    assert_eq!(recorder.trees().names(), "outer(inner)");
}
