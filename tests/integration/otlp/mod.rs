//! Export over OTLP, as independent receivers see it.

mod headers;
mod quiet;
mod receivers;
mod tls;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use eventsource_runtime::prelude::*;
use eventsource_tests::orders::OrderReadModel;
use eventsource_tests::registry::Registry;
use uuid::Uuid;

use self::receivers::{Log, Metric, Point, Received, Receiver, Rotel, Span, Tap};
use crate::{bus, place, sqlite};

/// Set in the process that exports.
const CHILD: &str = "EVENTSOURCE_TESTS_EXPORTS";

/// What arrives for one command and its projection, and one command that is refused: names, kinds by OTLP's numbers,
/// and links.
const EXPECTED: [&str; 3] = [
    "command.PlaceOrder/1(load_aggregate/1(snapshot_store.get/3 event_store.load/3) handle_command/1 persist_events/1(event_store.append/3))",
    "command.PlaceOrder/1(load_aggregate/1(snapshot_store.get/3 event_store.load/3) handle_command/1)",
    "projection.OrderReadModel/5~>persist_events(handler.placed/1(projection.insert_read_model/1))",
];
const SPANS: usize = 15;
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
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// The tree, with the log record of the refusal within its command, and what was measured.
fn assert_arrives(receiver: &mut impl Receiver) {
    let (mut spans, mut logs, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    while spans.len() < SPANS || logs.is_empty() || !are_all(&metrics) {
        match receiver.next() {
            Received::Span(span) => spans.push(span),
            Received::Log(log) => logs.push(log),
            Received::Metric(metric) => metrics.push(metric),
        }
    }
    assert_tree(spans.clone());
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

fn assert_tree(mut spans: Vec<Span>) {
    spans.sort_by_key(|span| span.start);
    let roots = spans.iter().filter(|span| span.parent_id.is_empty());
    let mut drawn: Vec<_> = roots.map(|root| drawn(root, &spans)).collect();
    // The projection begins when it likes.
    drawn.sort_by_key(|tree| EXPECTED.iter().position(|expected| expected == tree));
    assert_eq!(drawn, EXPECTED);
}

fn spans(receiver: &mut impl Receiver) -> Vec<Span> {
    let mut spans = Vec::new();
    while spans.len() < SPANS {
        if let Received::Span(span) = receiver.next() {
            spans.push(span);
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

fn command_of<'a>(log: &Log, spans: &'a [Span]) -> &'a str {
    let span = spans.iter().find(|span| span.trace_id == log.trace_id && span.id == log.span_id);
    span.map_or("?", |span| &span.name)
}

fn drawn(span: &Span, all: &[Span]) -> String {
    let name = |id: &String| all.iter().find(|span| span.id == *id).map_or("?", |span| &span.name);
    let links: Vec<_> = span.links.iter().map(|link| format!("~>{}", name(link))).collect();
    let links = links.concat();
    let below: Vec<_> = all.iter().filter(|child| child.parent_id == span.id).map(|child| drawn(child, all)).collect();
    let below = if below.is_empty() { String::new() } else { format!("({})", below.join(" ")) };
    format!("{}/{}{links}{below}", span.name, span.kind)
}

/// Does its work only in the process that the tests start, whose environment names the receiver.
#[tokio::test]
async fn exports() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let builder = Telemetry::from_env("tests");
    println!("{builder:?}");
    let telemetry = match builder.install() {
        Ok(telemetry) => telemetry,
        Err(error) => return println!("\nnot exported: {error}"),
    };
    println!("{telemetry:?} {:?}", telemetry.tracer_provider());
    let store = sqlite().await;
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
    let order = Uuid::now_v7();
    let committed = bus(&store).dispatch(place(order)).await.unwrap();
    bus(&store).dispatch(place(order)).await.unwrap_err();
    projections.wait_for(committed.position).await.unwrap();
    projections.shutdown().await.unwrap();
    match telemetry.shutdown().await {
        Ok(()) => println!("exported"),
        Err(error) => println!("not exported: {error}: {:?}", std::error::Error::source(&error)),
    }
}
