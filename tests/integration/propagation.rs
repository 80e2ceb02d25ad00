//! Trace context, from the command into the store and out to the projection.

use std::sync::{Arc, Mutex};

use eventsource_runtime::dispatch::caused_by;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore};
use eventsource_tests::orders::{OrderPlaced, OrderReadModel};
use eventsource_tests::recorder::Recorder;
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use uuid::Uuid;

use crate::{bus, place, ship, sqlite};

async fn stored_context<S: EventStore + SnapshotStore>(store: &S) -> Option<TraceContext> {
    let page = store.read_all(Position::START, &Filter::all(), 1).await.unwrap();
    page.events[0].trace_context.clone()
}

#[tokio::test]
async fn an_event_bears_the_context_of_the_span_that_persisted_it() {
    let recorder = Recorder::new();
    let store = sqlite().await;
    recorder.run(bus(&store).dispatch(place(Uuid::now_v7()))).await.unwrap();
    let context = stored_context(&store).await.unwrap();
    let trees = recorder.trees();
    let persist = &trees.span("persist_events").span_context;
    assert_eq!(context.span_id(), u64::from_be_bytes(persist.span_id().to_bytes()));
    assert_eq!(context.trace_id(), u128::from_be_bytes(persist.trace_id().to_bytes()));
    assert!(context.is_sampled());
}

#[tokio::test]
async fn an_unsampled_command_still_stores_its_context_and_its_projection_still_links() {
    let off = Recorder::with(|builder| builder.sampler(Sampler::AlwaysOff));
    let store = sqlite().await;
    off.run(bus(&store).dispatch(place(Uuid::now_v7()))).await.unwrap();
    let context = stored_context(&store).await.unwrap();
    assert!(!context.is_sampled());
    assert_eq!(off.started_spans(), 0);

    let on = Recorder::new();
    on.run(async {
        let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
        projections.wait_for(Position::new(1)).await.unwrap();
        projections.shutdown().await.unwrap();
    })
    .await;
    let trees = on.trees();
    let link = &trees.span("projection.OrderReadModel").links.links[0];
    assert_eq!(u64::from_be_bytes(link.span_context.span_id().to_bytes()), context.span_id());
}

#[tokio::test]
async fn without_telemetry_an_event_bears_the_callers_context_or_none() {
    let store = MemoryStore::new();
    bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    assert_eq!(stored_context(&store).await, None);
}

/// What a sampler saw: a span's name, kind, attributes by key, and number of links.
type Seen = (String, SpanKind, Vec<String>, usize);

#[derive(Clone, Debug, Default)]
struct Watching(Arc<Mutex<Vec<Seen>>>);

impl ShouldSample for Watching {
    fn should_sample(
        &self,
        _: Option<&OtelContext>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let keys = attributes.iter().map(|attribute| attribute.key.to_string()).collect();
        self.0.lock().unwrap().push((name.to_owned(), kind.clone(), keys, links.len()));
        let decision = SamplingDecision::RecordAndSample;
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

#[tokio::test]
async fn a_sampler_sees_name_kind_attributes_and_links_at_start() {
    let sampler = Watching::default();
    let recorder = Recorder::with(|builder| builder.sampler(sampler.clone()));
    recorder
        .run(async {
            let store = sqlite().await;
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
            let committed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
            projections.wait_for(committed.position).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    let seen = sampler.0.lock().unwrap();
    let find = |name: &str| seen.iter().find(|seen| seen.0 == name).unwrap_or_else(|| panic!("no {name} in {seen:?}"));
    let (_, kind, keys, _) = find("command.PlaceOrder");
    assert_eq!(*kind, SpanKind::Internal);
    assert!(keys.contains(&"command.user_id".to_owned()), "the user's attributes are there at start: {keys:?}");
    assert!(find("handle_command").2.contains(&"order.line_count".to_owned()));
    let (_, kind, keys, _) = find("event_store.append");
    assert_eq!(*kind, SpanKind::Client);
    assert!(keys.contains(&"db.system.name".to_owned()));
    let (_, kind, _, links) = find("projection.OrderReadModel");
    assert_eq!((kind.clone(), *links), (SpanKind::Consumer, 1));
    assert!(find("projection.insert_read_model").2.contains(&"projection.action".to_owned()));
}

#[tokio::test]
async fn correlation_flows_from_an_event_to_the_command_that_follows_it() {
    let store = MemoryStore::new();
    bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 1).await.unwrap();
    let placed = page.events[0].decode::<OrderPlaced>().unwrap();
    let following = Context::following(&placed);
    assert_eq!(following.correlation_id, placed.correlation_id());
    assert!(following.correlation_id.is_some());
}

/// With the context alone, the events had the command's id as causation.
#[tokio::test]
async fn a_command_of_a_spawned_task_names_the_event_that_caused_it() {
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let bus = bus(&store);
    bus.dispatch(place(order)).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 1).await.unwrap();
    let placed = page.events[0].decode::<OrderPlaced>().unwrap();
    let shipped = async move { bus.dispatch(ship(order)).await };
    tokio::spawn(caused_by(&placed, shipped)).await.unwrap().unwrap();
    let page = store.read_all(placed.position(), &Filter::all(), 1).await.unwrap();
    let shipped = &page.events[0];
    assert_eq!(shipped.causation_id, Some(placed.event_id()));
    assert_eq!(shipped.correlation_id, placed.correlation_id());
}
