//! Spans as spans of `tracing`: the same tree with the same attributes, and each nests in the other.
//!
//! A target of its own, because what runs on a store's threads sees the process's subscriber alone.

mod everything;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/bridge.rs"]
mod example;
mod read_all;
mod seen;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{self, TelemetryBuilder, TraceContext};
use eventsource_tests::orders::Order;
use eventsource_tests::placing::place;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::shipping;
use tracing::subscriber::NoSubscriber;
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt};
use uuid::Uuid;

use crate::seen::Seen;

fn bridged() -> Recorder {
    Recorder::with(TelemetryBuilder::bridge_to_tracing)
}

const ORDER: Uuid = Uuid::from_u128(7);

/// A subscriber of this thread alone, around the body, and what it has seen.
async fn below(filter: &str, recorder: &Recorder, body: impl Future<Output = ()>) -> Seen {
    let (filter, seen): (EnvFilter, _) = (filter.parse().unwrap(), Seen::default());
    let layers = tracing_subscriber::registry().with(filter).with(recorder.telemetry().tracing_layer());
    let _default = tracing::subscriber::set_default(layers.with(seen.clone()));
    recorder.run(body).await;
    seen
}

/// Names of a user's may begin as those of a component do.
#[tokio::test]
async fn what_users_trace_has_a_target_of_its_own() {
    #[traced("projection.insert")]
    fn insert() {}
    for (filter, made) in
        [("off,eventsource::span=info", "process.payment projection.insert"), ("eventsource::span=off,info", "")]
    {
        let recorder = bridged();
        below(filter, &recorder, async {
            telemetry::span("process.payment").in_scope(|| ());
            insert();
        })
        .await;
        assert_eq!(recorder.trees().names(), made, "{filter}");
    }
}

/// All were said to be ours.
#[tokio::test]
async fn each_has_the_scope_of_whoever_made_it() {
    let recorder = bridged();
    below("info", &recorder, async {
        let theirs = info_span!(target: "shop::checkout", "theirs", target = "a field");
        theirs.in_scope(|| telemetry::span("ours").in_scope(|| ()));
    })
    .await;
    let trees = recorder.trees();
    assert_eq!(trees.render(), "theirs\n  . target=a field\n  ours\n");
    let scope = |name| {
        let scope = &trees.span(name).instrumentation_scope;
        (scope.name(), scope.version().is_some() && scope.schema_url().is_some())
    };
    assert_eq!([scope("theirs"), scope("ours")], [("shop::checkout", false), ("eventsource-runtime", true)]);
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
        bus.dispatch(place(ORDER)).await.unwrap();
    };
    below("info,eventsource::store=off,eventsource::snapshot=off", &recorder, command).await;
    assert_eq!(recorder.trees().names(), "command.PlaceOrder(load_aggregate handle_command persist_events)");
}

/// What another layer wanted was exported all the same.
#[tokio::test]
async fn a_filter_of_the_layer_alone_filters() {
    let recorder = bridged();
    let filter: EnvFilter = "info,eventsource::span=off".parse().unwrap();
    let layer = recorder.telemetry().tracing_layer().with_filter(filter);
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.clone()).with(layer);
    let _default = tracing::subscriber::set_default(subscriber);
    recorder
        .run(async {
            let span = telemetry::span("ours");
            span.run(async { info_span!("theirs").in_scope(|| ()) }).await;
        })
        .await;
    assert_eq!(recorder.trees().names(), "theirs");
    assert!(seen.names().contains("ours"), "{}", seen.names());
}

/// A payment is refused, and the order cancelled.
#[tokio::test]
async fn spans_of_process_managers_have_the_target_of_projections() {
    let recorder = bridged();
    let managed = async {
        let store = MemoryStore::new();
        let bus = shipping::commands(&store);
        let managers = ProcessManagerRunner::new(store, bus.clone()).process_manager::<shipping::Shipping>().spawn();
        let (customer, address) = ("Mallory".to_owned(), "9 Back Street".to_owned());
        let order = shipping::PlaceOrder { order_id: Uuid::from_u128(7), customer, cents: 1, address };
        managers.wait_for(bus.dispatch(order).await.unwrap().position).await.unwrap();
        managers.shutdown().await.unwrap();
    };
    below("off,eventsource::projection=info", &recorder, managed).await;
    let spans = recorder.spans();
    let is_theirs = |name: &str| name.starts_with("process_manager.Shipping");
    assert!(!spans.is_empty() && spans.iter().all(|span| is_theirs(&span.name)), "{}", recorder.trees().names());
}

#[tokio::test]
async fn a_web_service_ours_and_the_applications_nest() {
    let recorder = bridged();
    let served = async {
        let answers = example::two_deposits().await.unwrap();
        assert_eq!(answers.map(|answer| answer.as_u16()), [204, 422]);
    };
    let seen = below("info,tower_http=debug", &recorder, served).await;
    let refused = "load_aggregate(event_store.load) handle_command(limit)";
    let taken = format!("{refused} persist_events(event_store.append)");
    let request = |below| format!("request(deposit(command.Deposit({below})))");
    assert_eq!(recorder.trees().names(), [request(taken), request(refused.to_owned())].join(" "));
    assert_eq!(seen.names(), recorder.trees().names());
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
        let off = telemetry::span("off").options(|options| options.enable_tracing(false));
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

/// A span in a span, bridged, where that subscriber is the thread's.
async fn nested_below(subscriber: impl Subscriber + Send + Sync + 'static) -> String {
    let recorder = bridged();
    let _default = tracing::subscriber::set_default(subscriber);
    let work = async { telemetry::span("outer").in_scope(|| telemetry::span("inner").in_scope(|| ())) };
    recorder.run(work).await;
    recorder.trees().names()
}

#[tokio::test]
async fn without_the_layer_spans_are_opentelemetrys_alone() {
    assert_eq!(nested_below(tracing_subscriber::registry()).await, "outer(inner)");
}

/// A span of `tracing` is as disabled there as below a filter.
#[tokio::test]
async fn without_a_subscriber_nothing_is_lost() {
    assert_eq!(nested_below(NoSubscriber::default()).await, "outer(inner)");
    assert_eq!(nested_below(tracing_subscriber::registry().with(LevelFilter::OFF)).await, "");
}
