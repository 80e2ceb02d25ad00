//! Spans and metrics of a component have a switch each.

use std::collections::BTreeSet;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, SqliteStore};
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use eventsource_tests::scratch::Scratch;
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

use crate::{place, turn};

/// Each point of a counter: its attributes as text, and its value.
pub(crate) fn points(metrics: &InMemoryMetricExporter, name: &str) -> Vec<(String, u64)> {
    let points = Measured::last(metrics).into_iter().filter(|point| point.name == name);
    let mut points: Vec<_> = points.map(|point| (ending(point.attributes.iter()), point.count)).collect();
    points.sort();
    points
}

/// How a command ended, as its span and its metrics say it.
fn ending<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let ends = ["command.status", "cqrs.command.status", "error.type", "query.status"];
    let ends: BTreeSet<_> = attributes
        .filter(|attribute| ends.contains(&attribute.key.as_str()))
        .map(|attribute| attribute.value.to_string())
        .collect();
    ends.into_iter().collect::<Vec<_>>().join(" ")
}

fn endings(spans: &[SpanData]) -> Vec<(String, u64)> {
    let commands = spans.iter().filter(|span| span.name.starts_with("command."));
    let mut endings: Vec<_> = commands.map(|span| (ending(span.attributes.iter()), 1)).collect();
    endings.sort();
    endings
}

/// One command that is handled, one that is refused, and one that fails.
async fn commands(tracing: bool, metrics: bool) -> (Vec<(String, u64)>, Vec<(String, u64)>) {
    let (recorder, exporter) = Recorder::measured();
    let store = MemoryStore::new();
    let orders = Repository::<Order, _>::new(store.clone());
    let bus = CommandBus::builder().aggregate(orders).enable_tracing(tracing).enable_metrics(metrics).build();
    recorder
        .run(async {
            bus.dispatch(place(Uuid::now_v7(), 1)).await.unwrap();
            assert!(bus.dispatch(place(Uuid::now_v7(), 0)).await.unwrap_err().is_rejected());
            bus.dispatch_json("PlaceOrder", b"[]").await.unwrap_err();
        })
        .await;
    recorder.flush().await;
    (endings(&recorder.spans()), points(&exporter, "cqrs.command.total"))
}

#[tokio::test]
async fn the_metrics_of_a_command_say_what_its_span_says() {
    let _turn = turn().await;
    let (spans, metrics) = commands(true, true).await;
    let expected = [("Empty rejected", 1), ("bad_payload error", 1), ("success", 1)];
    assert_eq!(spans, expected.map(|(ending, count)| (ending.to_owned(), count)));
    assert_eq!(metrics, spans);
}

#[tokio::test]
async fn spans_and_metrics_are_switched_apart() {
    let _turn = turn().await;
    let (spans, metrics) = commands(false, true).await;
    assert_eq!((spans.len(), metrics.len()), (0, 3));
    let (spans, metrics) = commands(true, false).await;
    assert_eq!((spans.len(), metrics.len()), (3, 0));
}

/// The names of what a store in a database and its repository measure of a conflict and a load with a snapshot.
async fn measured(store: bool, repository: bool) -> BTreeSet<String> {
    let (recorder, exporter) = Recorder::measured();
    let sqlite = SqliteStore::open(":memory:").await.unwrap().enable_metrics(store);
    let orders = Repository::<Order, _>::new(sqlite.clone()).enable_metrics(repository);
    let (id, reason) = (Uuid::now_v7(), || OrderCancelled { reason: "too slow".into() });
    recorder
        .run(async {
            orders.append(&id, ExpectedVersion::NoStream, reason()).await.unwrap();
            orders.append(&id, ExpectedVersion::NoStream, reason()).await.unwrap_err();
            orders.create_snapshot(&id).await.unwrap();
            orders.load(&id).await.unwrap();
        })
        .await;
    recorder.flush().await;
    sqlite.close().await;
    Measured::all(&exporter).into_iter().map(|point| point.name).collect()
}

#[tokio::test]
async fn a_database_and_its_repository_have_a_switch_each_for_their_metrics() {
    let _turn = turn().await;
    let of_store = ["db.client.operation.duration", "eventsource.store.active"];
    let of_repository = ["eventsource.append.conflicts", "eventsource.events.loaded", "eventsource.snapshot.reads"];
    assert_eq!(measured(true, false).await, of_store.map(String::from).into());
    assert_eq!(measured(false, true).await, of_repository.map(String::from).into());
    assert_eq!(measured(false, false).await, BTreeSet::new());
    assert_eq!(measured(true, true).await.len(), of_store.len() + of_repository.len());
}

/// The adapter counted, which knows nothing of the switch; a `tracestate` that was dropped went uncounted.
#[tokio::test]
async fn malformed_contexts_are_counted_under_the_stores_switch() {
    let _turn = turn().await;
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (version, (parent, state)) in [(1, ("nonsense", "a=1")), (2, (parent, "no equals")), (3, (parent, "a=1"))] {
        let connection = rusqlite::Connection::open(scratch.file()).unwrap();
        let insert = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, \
            traceparent, tracestate, payload) VALUES ('Elsewhere-1', ?1, randomblob(16), 'Foreign', 1, 0, ?2, ?3, x'7b7d')";
        connection.execute(insert, (version, parent, state)).unwrap();
    }
    for (enabled, counted) in [(true, 4), (false, 0)] {
        let (recorder, exporter) = Recorder::measured();
        let store = store.clone().enable_metrics(enabled);
        recorder
            .run(async {
                let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
                let contexts: Vec<_> = page.events.iter().map(|event| event.trace_context.is_some()).collect();
                assert_eq!(contexts, [false, true, true]);
                store.read_stream(&"Elsewhere-1".parse().unwrap(), Version::START, 10).await.unwrap();
            })
            .await;
        recorder.flush().await;
        let points = points(&exporter, "eventsource.context.malformed");
        assert_eq!(points.iter().map(|(_, count)| count).sum::<u64>(), counted, "{points:?}");
    }
    store.close().await;
}
