//! The switches of each component: what its spans and its metrics leave when they are off, beside all that the others
//! still emit.

use std::collections::BTreeSet;

use eventsource_tests::everything::{self, EXPRESSIONS, Off, evaluations};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry::KeyValue;

use crate::turn;

/// What everything emits: names of spans, and of metrics.
struct Emitted {
    spans: BTreeSet<String>,
    metrics: BTreeSet<String>,
    evaluated: Vec<&'static str>,
}

async fn emitted(off: Off) -> Emitted {
    let (recorder, exporter) = Recorder::measured();
    evaluations();
    let (answers, _kept) = recorder.run(everything::run(off)).await;
    assert_eq!(answers, everything::ANSWERS, "whatever is off");
    recorder.flush().await;
    Emitted {
        spans: recorder.spans().iter().map(|span| named(&span.name, span.attributes.iter())).collect(),
        metrics: Measured::all(&exporter).iter().map(|point| named(&point.name, point.attributes.iter())).collect(),
        evaluated: evaluations(),
    }
}

/// A name, and whose it is, where several have the same.
fn named<'a>(name: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let owners = ["eventsource.aggregate.type", "eventsource.projection.name", "messaging.system", "projection.name"];
    let owners = attributes.filter(|attribute| owners.contains(&attribute.key.as_str()));
    let owners: BTreeSet<_> = owners.map(|attribute| attribute.value.to_string()).collect();
    std::iter::once(name.to_owned()).chain(owners).collect::<Vec<_>>().join(" ")
}

/// What is gone when a component's spans are off: spans, and the expressions that they show. What an event shows is on
/// the spans of its command and of its projection.
const SPANS: [(&str, &[&str], &[&str]); 10] = [
    ("store", &["event_store.append", "event_store.load"], &[]),
    (
        "repository",
        &["aggregate_exists Teller", "handle_command Teller", "load_aggregate Teller", "persist_events Teller"],
        &["command handler"],
    ),
    (
        "command bus",
        &["command.Tell Teller", "handle_command Teller", "load_aggregate Teller", "persist_events Teller"],
        &["command", "command handler"],
    ),
    ("query bus", &["query.HowMany"], &["query", "query handler"]),
    ("projections", &["projection.Tally Tally", "tally.told"], &["projection"]),
    ("dead letters", &["projection.Fussy Fussy"], &[]),
    ("process managers", &["process_manager.Listener Listener"], &[]),
    ("event bus", &["event_bus.handle Teller", "event_bus.publish"], &[]),
    ("broker", &["process orders Teller kafka", "send orders kafka"], &[]),
    ("relay", &["send orders rabbitmq"], &[]),
];

#[tokio::test]
async fn a_component_whose_spans_are_off_leaves_those_of_the_others() {
    let _turn = turn().await;
    let all = emitted(Off::default()).await;
    assert_eq!(all.evaluated, EXPRESSIONS);
    for (component, spans, expressions) in SPANS {
        let left = emitted(Off { spans: component, ..Off::default() }).await;
        let evaluated: Vec<&str> = EXPRESSIONS.into_iter().filter(|it| !left.evaluated.contains(it)).collect();
        assert_eq!(gone(&all.spans, &left.spans), spans, "{component}");
        assert_eq!(evaluated, expressions, "{component}");
        assert_eq!(left.metrics, all.metrics, "metrics have a switch of their own: {component}");
    }
}

/// What is gone when a component's metrics are off. A store in memory has none where nothing is wrong; those of a
/// database are in `metrics`.
const METRICS: [(&str, &[&str]); 10] = [
    ("store", &[]),
    ("repository", &["eventsource.events.loaded"]),
    ("command bus", &["cqrs.command.duration", "cqrs.command.total", "cqrs.events.produced"]),
    ("query bus", &["cqrs.query.duration", "cqrs.query.total"]),
    ("projections", &["cqrs.projection.lag Tally", "eventsource.projection.events Tally"]),
    ("dead letters", &["cqrs.projection.lag Fussy", "eventsource.projection.events Fussy"]),
    ("process managers", &["cqrs.projection.lag Listener", "eventsource.projection.events Listener"]),
    (
        "event bus",
        &[
            "messaging.client.consumed.messages in_process",
            "messaging.client.operation.duration in_process",
            "messaging.client.sent.messages in_process",
            "messaging.process.duration in_process",
        ],
    ),
    (
        "broker",
        &[
            "messaging.client.consumed.messages kafka",
            "messaging.client.operation.duration kafka",
            "messaging.client.sent.messages kafka",
            "messaging.process.duration kafka",
        ],
    ),
    ("relay", &["eventsource.relay.gap", "eventsource.relay.running"]),
];

#[tokio::test]
async fn a_component_whose_metrics_are_off_leaves_those_of_the_others() {
    let _turn = turn().await;
    let all = emitted(Off::default()).await;
    for (component, metrics) in METRICS {
        let left = emitted(Off { metrics: component, ..Off::default() }).await;
        assert_eq!(gone(&all.metrics, &left.metrics), metrics, "{component}");
        assert_eq!(left.spans, all.spans, "spans have a switch of their own: {component}");
    }
}

fn gone<'a>(all: &'a BTreeSet<String>, left: &'a BTreeSet<String>) -> Vec<&'a str> {
    all.difference(left).map(String::as_str).collect()
}
