//! Export over OTLP, as independent receivers see it.

mod headers;
mod quiet;
mod receivers;
mod tls;

use std::collections::BTreeSet;
use std::process::Output;

use eventsource_runtime::prelude::*;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::orders::OrderReadModel;
use eventsource_tests::recorder::PATIENCE;
use eventsource_tests::registry::Registry;
use eventsource_tests::trees::Trees;
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

use self::receivers::{Log, Metric, Point, Received, Receiver, Rotel, Tap};
use crate::write_path::PLACED;
use crate::{bus, place, sqlite};

/// What is placed, and refused when it is placed again.
const ORDER: Uuid = Uuid::from_u128(7);

/// What arrives after [`PLACED`]: the command that is refused, and one that nobody handles.
const REFUSED: &str = "\
command.PlaceOrder
  . command.user_id=user-7
  . cqrs.command.status=rejected
  . cqrs.command.type=PlaceOrder
  . cqrs.side=write
  . error.type=WrongStatus
  . eventsource.aggregate.id={order}
  . eventsource.aggregate.type=Order
  . eventsource.retry.count=0
  load_aggregate
    . cqrs.side=write
    . eventsource.aggregate.id={order}
    . eventsource.aggregate.type=Order
    . eventsource.events.loaded=1
    . eventsource.snapshot.used=false
    . eventsource.version=1
    snapshot_store.get CLIENT
      . db.collection.name=snapshots
      . db.operation.name=SELECT
      . db.system.name=sqlite
      . eventsource.aggregate.id={order}
      . eventsource.aggregate.type=Order
    event_store.load CLIENT
      . db.collection.name=events
      . db.operation.name=SELECT
      . db.system.name=sqlite
      . eventsource.events.loaded=1
      . eventsource.from_version=1
      . eventsource.stream.id=Order-{order}
  handle_command
    . cqrs.command.type=PlaceOrder
    . cqrs.side=write
    . error.type=WrongStatus
    . eventsource.aggregate.id={order}
    . eventsource.aggregate.type=Order
    . order.line_count=1
command.unknown ERROR \"No handler for Unheard\"
  . cqrs.command.status=error
  . cqrs.command.type=Unheard
  . cqrs.side=write
  . error.type=no_handler
  . eventsource.retry.count=0
";
const SPANS: usize = 16;
/// What is measured of that, one line a point: how much is in a sum, how many are in a histogram.
const MEASURED: [&str; 10] = [
    "cqrs.command.duration histogram in s: 1 of command.status=rejected command.type=PlaceOrder cqrs.side=write error.type=WrongStatus",
    "cqrs.command.duration histogram in s: 1 of command.status=success command.type=PlaceOrder cqrs.side=write",
    "cqrs.command.total sum in {command}: 1 of command.status=rejected command.type=PlaceOrder cqrs.side=write error.type=WrongStatus",
    "cqrs.command.total sum in {command}: 1 of command.status=success command.type=PlaceOrder cqrs.side=write",
    "cqrs.events.produced sum in {event}: 1 of command.type=PlaceOrder cqrs.side=write",
    "cqrs.projection.lag histogram in s: 1 of cqrs.side=projection event.type=OrderPlaced projection.name=OrderReadModel",
    "eventsource.events.loaded histogram in {event}: 2 of aggregate.type=Order",
    "eventsource.projection.events sum in {event}: 1 of projection.name=OrderReadModel status=applied",
    "eventsource.snapshot.reads sum in {read}: 2 of aggregate.type=Order result=missing",
    "otel.sdk.processor.span.processed sum in {span}: 0 of error.type=export_failed",
];

#[test]
fn an_independent_receiver_gets_the_same_tree_over_http() {
    let Some(mut tap) = Tap::start() else { return };
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", tap.endpoint())];
    exported(&environment);
    assert_arrives(&mut tap);
}

#[test]
fn another_independent_receiver_gets_the_same_tree_over_grpc() {
    let Some(mut rotel) = Rotel::start() else { return };
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", rotel.endpoint()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned())];
    exported(&environment);
    assert_arrives(&mut rotel);
}

#[test]
fn each_signal_goes_its_own_way() {
    let (Some(mut tap), Some(mut rotel), Some(mut measuring)) = (Tap::start(), Rotel::start(), Tap::start()) else {
        return;
    };
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", tap.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", rotel.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", measuring.endpoint() + "/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none".to_owned()),
    ];
    exported(&environment);
    let spans = spans(&mut tap);
    let refused = log(&mut rotel);
    assert_eq!(command_of(&refused, &spans), "command.PlaceOrder");
    assert_measured(&metrics(&mut measuring));
}

/// Runs the program that exports, in a process of its own.
fn exported(environment: &[(&str, String)]) -> Output {
    exported_by("otlp::exports", environment)
}

fn exported_by(test: &str, environment: &[(&str, String)]) -> Output {
    passed(alone(test).envs(environment.iter().map(|(name, value)| (name, value))), 1)
}

/// The tree, with the log record of the refusal within its command, and what was measured.
fn assert_arrives(receiver: &mut impl Receiver) {
    let (mut spans, mut logs, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    while spans.len() < SPANS || logs.is_empty() || !are_all(&metrics) {
        match receiver.next() {
            Received::Span(span) => spans.push(*span),
            Received::Log(log) => logs.push(log),
            Received::Metric(metric) => metrics.push(metric),
        }
    }
    assert_trees(&spans);
    assert_eq!((&*logs[0].body, &*logs[0].severity), ("rejected", "INFO"));
    assert_eq!(command_of(&logs[0], &spans), "command.PlaceOrder");
    assert_measured(&metrics);
}

/// Whether each metric that is expected has come, whatever it tells.
fn are_all(metrics: &[Metric]) -> bool {
    let has_come = |name: &str| metrics.iter().any(|metric| metric.name == name);
    MEASURED.iter().all(|line| has_come(line.split_once(' ').map_or(line, |(name, _)| name)))
}

/// Each metric is as the registry lists it, and tells what is expected.
fn assert_measured(metrics: &[Metric]) {
    let registry = Registry::load();
    let listed = registry.metrics();
    for metric in metrics {
        assert!(listed.contains(&(&metric.name, &metric.unit)), "{metric:?}");
    }
    let lines: BTreeSet<_> = metrics.iter().flat_map(lines).collect();
    let missing: Vec<_> = MEASURED.iter().filter(|line| !lines.contains(**line)).collect();
    assert!(missing.is_empty(), "{missing:#?}, in {lines:#?}");
}

fn lines(metric: &Metric) -> Vec<String> {
    let Metric { name, unit, of, points } = metric;
    let line = |point: &Point| {
        let attributes: Vec<_> = point.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{name} {of} in {unit}: {} of {}", point.number, attributes.join(" "))
    };
    points.iter().map(line).collect()
}

/// Everything but times and ids is there, and of the type that it has in the registry: a tree shows no types.
fn assert_trees(spans: &[SpanData]) {
    let expected = [PLACED, REFUSED].concat();
    assert_eq!(Trees::new(spans.to_vec()).replace(ORDER, "{order}").render(), expected);
    let registry = Registry::load();
    let listed = spans.iter().filter(|span| registry.lists_span(span));
    let faults: Vec<_> = listed.flat_map(|span| registry.check_span(span)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn spans(receiver: &mut impl Receiver) -> Vec<SpanData> {
    let mut spans = Vec::new();
    while spans.len() < SPANS {
        if let Received::Span(span) = receiver.next() {
            spans.push(*span);
        }
    }
    spans
}

fn metrics(receiver: &mut impl Receiver) -> Vec<Metric> {
    let mut metrics = Vec::new();
    while !are_all(&metrics) {
        if let Received::Metric(metric) = receiver.next() {
            metrics.push(metric);
        }
    }
    metrics
}

fn log(receiver: &mut impl Receiver) -> Log {
    loop {
        if let Received::Log(log) = receiver.next() {
            return log;
        }
    }
}

fn command_of<'a>(log: &Log, spans: &'a [SpanData]) -> &'a str {
    let ids = |span: &SpanData| (span.span_context.trace_id().to_string(), span.span_context.span_id().to_string());
    let span = spans.iter().find(|span| ids(span) == (log.trace_id.clone(), log.span_id.clone()));
    span.map_or("?", |span| &span.name)
}

/// Does its work only in the process that the tests start, whose environment names the receiver.
#[tokio::test]
async fn exports() {
    if !is_alone() {
        return;
    }
    let builder = Telemetry::from_env("tests").shutdown_timeout(PATIENCE);
    println!("{builder:?}");
    let telemetry = match builder.install() {
        Ok(telemetry) => telemetry,
        Err(error) => return println!("\nnot exported: {error}"),
    };
    println!("{telemetry:?} {:?}", telemetry.tracer_provider());
    let store = sqlite().await;
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
    let bus = bus(&store);
    let committed = bus.dispatch(place(ORDER)).await.unwrap();
    // It begins before what follows.
    projections.wait_for(committed.position).await.unwrap();
    bus.dispatch(place(ORDER)).await.unwrap_err();
    bus.dispatch_json("Unheard", b"{}").await.unwrap_err();
    projections.shutdown().await.unwrap();
    match telemetry.shutdown().await {
        Ok(()) => println!("exported"),
        Err(error) => println!("not exported: {error}: {:?}", std::error::Error::source(&error)),
    }
}
