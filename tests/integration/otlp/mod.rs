//! Export over OTLP, as independent receivers see it.

mod headers;
mod quiet;
mod receivers;
mod tls;

use std::process::{Command, Output};

use eventsource_runtime::prelude::*;
use eventsource_tests::orders::OrderReadModel;
use uuid::Uuid;

use self::receivers::{Log, Received, Receiver, Rotel, Span, Tap};
use crate::{bus, place, sqlite};

/// Set in the process that exports.
const CHILD: &str = "EVENTSOURCE_TESTS_EXPORTS";

/// What arrives for one command and its projection, and one command that is refused: names, kinds by OTLP's numbers, and
/// links.
const EXPECTED: [&str; 3] = [
    "command.PlaceOrder/1(load_aggregate/1(snapshot_store.get/3 event_store.load/3) handle_command/1 persist_events/1(event_store.append/3))",
    "command.PlaceOrder/1(load_aggregate/1(snapshot_store.get/3 event_store.load/3) handle_command/1)",
    "projection.OrderReadModel/5~>persist_events(handler.placed/1(projection.insert_read_model/1))",
];
const SPANS: usize = 15;

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
    let (Some(mut tap), Some(mut rotel)) = (Tap::start(), Rotel::start()) else { return };
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", tap.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", rotel.endpoint()),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none".to_owned()),
    ];
    exported(&environment);
    let spans = spans(&mut tap);
    let refused = log(&mut rotel);
    assert_eq!(command_of(&refused, &spans), "command.PlaceOrder");
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

/// The tree, with the log record of the refusal within its command.
fn assert_arrives(receiver: &mut impl Receiver) {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    while spans.len() < SPANS || logs.is_empty() {
        match receiver.next() {
            Received::Span(span) => spans.push(span),
            Received::Log(log) => logs.push(log),
        }
    }
    assert_tree(spans.clone());
    assert_eq!((&*logs[0].body, &*logs[0].severity), ("rejected", "INFO"));
    assert_eq!(command_of(&logs[0], &spans), "command.PlaceOrder");
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
