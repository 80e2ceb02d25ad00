//! All components: what each makes is the same with and without the bridge, and each has a target of its own.

use std::collections::BTreeSet;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, SqliteStore};
use eventsource_tests::everything::{self, Off};
use eventsource_tests::orders::{Order, OrderCancelled, OrderReadModel};
use eventsource_tests::placing::{bus, place};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::trees::Trees;
use opentelemetry::trace::SpanId;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

use crate::seen::{Seen, first};
use crate::{ORDER, below, bridged};

/// The targets, and the first words of the names of those who have it.
const TARGETS: [(&str, &[&str]); 7] = [
    ("bus", &["event_bus", "process", "send"]),
    (
        "command",
        &["aggregate_exists", "command", "create_snapshot", "handle_command", "load_aggregate", "persist_events"],
    ),
    ("projection", &["handler", "process_manager", "projection"]),
    ("query", &["query"]),
    ("snapshot", &["snapshot_store"]),
    ("span", &["by_hand", "counting", "plain", "tally", "waiting"]),
    ("store", &["event_store"]),
];

/// A command, one that is rejected, and what they led to, on threads of the store's own.
async fn orders() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let bus = bus(&store);
    let projections = ProjectionRunner::new(store).projection(OrderReadModel).spawn();
    let placed = bus.dispatch(place(ORDER)).await.unwrap();
    projections.wait_for(placed.position).await.unwrap();
    bus.dispatch(place(ORDER)).await.unwrap_err();
    bus.dispatch_json("Unheard", b"{}").await.unwrap_err();
    projections.shutdown().await.unwrap();
}

/// Each component, on the caller's thread.
async fn components() {
    drop(everything::run(Off::default()).await);
    let store = MemoryStore::new();
    let orders = Repository::<Order, _>::new(store.clone());
    let cancelled = OrderCancelled { reason: "too slow".into() };
    orders.append(&ORDER, ExpectedVersion::NoStream, vec![cancelled]).await.unwrap();
    orders.create_snapshot(&ORDER).await.unwrap();
    assert!(orders.snapshot_exists(&ORDER).await.unwrap() && orders.exists(&ORDER).await.unwrap());
    orders.load(&ORDER).await.unwrap();
    assert!(orders.delete_snapshot(&ORDER).await.unwrap());
    assert_eq!(store.read_all(Position::START, &Filter::all(), 10).await.unwrap().events.len(), 1);
}

/// What runs at the same time begins in any order.
fn sorted(mut roots: Vec<String>) -> Vec<String> {
    roots.sort();
    roots
}

/// All of each trace, whose ids differ each time.
fn traces(trees: &Trees) -> Vec<String> {
    let mut text = trees.render();
    let is_id = |text: &str| Uuid::try_parse(text).is_ok_and(|id| id != ORDER);
    let id =
        |text: &str| (0..text.len()).filter_map(|at| text.get(at..at + 36)).find(|it| is_id(it)).map(str::to_owned);
    while let Some(id) = id(&text) {
        text = text.replace(&id, "{id}");
    }
    // A root is a line that is not indented, with those below it.
    sorted(text.replace("\n ", "\r ").lines().map(|root| root.replace('\r', "\n")).collect())
}

/// The names as `tracing` knows them: a span from elsewhere is nothing to be below of.
fn known(recorder: &Recorder) -> Vec<String> {
    let mut spans = recorder.spans();
    for span in spans.iter_mut().filter(|span| span.parent_span_is_remote) {
        span.parent_span_id = SpanId::INVALID;
    }
    sorted(Trees::new(spans).names_of_each())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_trees_are_one() {
    let product = async || {
        orders().await;
        components().await;
    };
    let (plain, bridged) = (Recorder::new(), bridged());
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(bridged.telemetry().tracing_layer()).with(seen.clone());
    tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one in this process");
    plain.run(product()).await;
    bridged.run(product()).await;
    // A span of `tracing` is left by its last handle, on whichever thread.
    bridged.flush().await;
    assert_eq!(traces(&bridged.trees()), traces(&plain.trees()));
    assert_eq!(bridged.open_spans(), 0);
    // And what `tracing` itself was told, which no exporter sees.
    assert_eq!(sorted(seen.names_of_each()), known(&plain));
    // Each is closed by its last handle, on whichever thread.
    while seen.ended() < bridged.spans().len() {
        tokio::task::yield_now().await;
    }
    let all = TARGETS.iter().flat_map(|(target, names)| names.iter().map(move |name| (*name, *target)));
    // Of a user's, however it begins: `projection.insert_read_model`.
    let all = all.chain([("projection", "span")]);
    let targets: BTreeSet<_> = all.map(|(name, target)| (name.to_owned(), format!("eventsource::{target}"))).collect();
    assert_eq!(seen.targets(), targets.into_iter().collect::<Vec<_>>());
}

/// The names of what is left of all components under a filter.
async fn left(filter: &str) -> Vec<String> {
    let recorder = bridged();
    below(filter, &recorder, components()).await;
    sorted(recorder.spans().iter().map(|span| span.name.to_string()).collect())
}

#[tokio::test]
async fn each_target_can_be_filtered_away_and_leaves_the_others() {
    let all = left("info").await;
    for (target, names) in TARGETS {
        let is_of = |name: &str| names.contains(&first(name));
        assert!(all.iter().any(|name| is_of(name)), "{target}");
        let others: Vec<_> = all.iter().filter(|name| !is_of(name)).cloned().collect();
        assert_eq!(left(&format!("info,eventsource::{target}=off")).await, others, "{target}");
    }
}
