//! How what managers do can be followed.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{NewEvent, Origin, StreamId};
use eventsource_tests::clocks::Moved;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::shipping::{OrderCancelled, OrderStatus, TIME_TO_PAY, TimeToPayOver, commands};
use uuid::Uuid;

use super::cycles::{Ping, Right, Table};
use super::{all_events, place, quiet, runner, status};

const REFUSED: &str = "\
command.PlaceOrder(load_aggregate(event_store.load) handle_command persist_events(event_store.append)) \
process_manager.Shipping(event_store.load event_store.append \
command.AskPayment(load_aggregate(event_store.load) handle_command) event_store.append \
command.CancelOrder(load_aggregate(event_store.load) handle_command persist_events(event_store.append)) \
event_store.append)";

#[tokio::test]
async fn a_reaction_is_a_trace_that_links_to_its_event_with_its_commands_below() {
    let recorder = Recorder::new();
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    recorder
        .run(async {
            let managers = runner(&store).spawn();
            let placed = commands(&store).dispatch(place(order, "Mallory", "9 Back Street")).await.unwrap();
            managers.wait_for(placed.position).await.unwrap();
            managers.shutdown().await.unwrap();
        })
        .await;
    let trees = recorder.trees();
    assert_eq!(trees.names(), REFUSED);
    let reaction = trees.span("process_manager.Shipping");
    let attribute = |key: &str| {
        let found = reaction.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
    };
    assert_eq!(reaction.span_kind, opentelemetry::trace::SpanKind::Consumer);
    assert_eq!(attribute("cqrs.side"), "projection");
    assert_eq!(attribute("eventsource.projection.name"), "Shipping");
    assert_eq!(attribute("eventsource.event.type"), "OrderPlaced");
    assert_eq!(attribute("eventsource.aggregate.id"), order.to_string());
    assert_eq!(attribute("eventsource.commands.dispatched"), "2");
    let persisted = trees.span("persist_events").span_context.clone();
    let link = &reaction.links.links[0].span_context;
    assert_eq!((link.trace_id(), link.span_id()), (persisted.trace_id(), persisted.span_id()));
    assert_ne!(reaction.span_context.trace_id(), persisted.trace_id());

    let events = all_events(&store).await;
    let placed = &events[0];
    assert!(events.iter().all(|event| event.correlation_id == placed.correlation_id), "one story");
    let cancelled = events.iter().find(|event| event.is::<OrderCancelled>()).unwrap();
    assert_eq!(cancelled.metadata.get("process_manager.cause"), Some(&*placed.id.to_string()));
}

#[tokio::test]
async fn what_a_time_out_leads_to_is_of_the_same_story_and_linked_to_the_reaction_that_asked_for_it() {
    let recorder = Recorder::new();
    let (store, order, clock) = (MemoryStore::new(), Uuid::now_v7(), Arc::new(Moved::default()));
    recorder
        .run(async {
            let managers = runner(&store).with_clock(clock.clone()).spawn();
            commands(&store).dispatch(place(order, "Grace", "Navy Yard")).await.unwrap();
            quiet(&managers, &store).await;
            clock.pass(TIME_TO_PAY);
            while status(&store, order).await == OrderStatus::Placed {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            managers.shutdown().await.unwrap();
        })
        .await;
    let events = all_events(&store).await;
    assert!(events.iter().any(StoredEvent::is::<TimeToPayOver>), "{events:?}");
    assert!(events[0].correlation_id.is_some());
    assert!(events.iter().all(|event| event.correlation_id == events[0].correlation_id), "{events:?}");

    let spans = recorder.spans();
    let reaction_to = |event: &str| {
        let is_to = |value: &opentelemetry::Value| value.as_str() == event;
        let mut reactions = spans.iter().filter(|span| span.name == "process_manager.Shipping");
        let found = reactions.find(|span| {
            span.attributes.iter().any(|at| at.key.as_str() == "eventsource.event.type" && is_to(&at.value))
        });
        found.expect("it was reacted to")
    };
    let (asked, over) = (reaction_to("OrderPlaced"), reaction_to("TimeToPayOver"));
    let links: Vec<_> = over.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [asked.span_context.span_id()]);
    assert_ne!(over.span_context.trace_id(), asked.span_context.trace_id());
}

/// An event that no command led to begins a story of its own.
#[tokio::test]
async fn all_that_follows_from_an_event_without_a_correlation_is_correlated_with_it() {
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let payload = serde_json::to_vec(&place(order, "Mallory", "9 Back Street")).unwrap();
    let placed = NewEvent {
        id: Uuid::now_v7(),
        event_type: "OrderPlaced",
        schema_version: 1,
        payload: payload.into(),
        origin: Arc::new(Origin::at(Timestamp::from_micros(1))),
    };
    let id = placed.id;
    let appended = store.append(&StreamId::new("Order", order), ExpectedVersion::NoStream, vec![placed]).await.unwrap();
    let managers = runner(&store).spawn();
    managers.wait_for(appended.position).await.unwrap();
    managers.shutdown().await.unwrap();
    let followed = all_events(&store).await.split_off(1);
    assert!(followed.iter().any(StoredEvent::is::<OrderCancelled>), "{followed:?}");
    assert!(followed.iter().all(|event| event.correlation_id == Some(id)), "{followed:?}");
}

#[tokio::test]
async fn a_manager_that_is_switched_off_makes_no_spans_at_all() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = MemoryStore::new();
            let quietly = CommandBus::builder()
                .aggregate(Repository::<Table, _>::new(store.clone()).enable_tracing(true))
                .build();
            let managers = ProcessManagerRunner::new(store.clone(), quietly.clone()).process_manager::<Right>();
            let managers = managers.enable_tracing(true).spawn();
            let pinged = quietly.dispatch(Ping { table: "1".into() }).await.unwrap();
            managers.wait_for(pinged.position).await.unwrap();
            managers.shutdown().await.unwrap();

            let managers = runner(&store).enable_tracing(false).spawn();
            let bus = commands(&store.clone().enable_tracing(false));
            managers
                .wait_for(bus.dispatch(place(Uuid::now_v7(), "Mallory", "")).await.unwrap().position)
                .await
                .unwrap();
            managers.shutdown().await.unwrap();
        })
        .await;
    let roots: Vec<_> = recorder.spans().into_iter().map(|span| span.name.to_string()).collect();
    assert_eq!(roots.iter().filter(|name| name.starts_with("command.")).count(), 2, "those from outside: {roots:?}");
    assert!(!roots.iter().any(|name| name.starts_with("process_manager.")), "{roots:?}");
}

#[tokio::test]
async fn a_runner_that_ignores_contexts_makes_no_links() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = MemoryStore::new();
            let managers = runner(&store).ignore_contexts().spawn();
            let placed = commands(&store).dispatch(place(Uuid::now_v7(), "Mallory", "")).await.unwrap();
            managers.wait_for(placed.position).await.unwrap();
            managers.shutdown().await.unwrap();
        })
        .await;
    let trees = recorder.trees();
    let reaction = trees.span("process_manager.Shipping");
    assert!(reaction.links.links.is_empty());
    let placed = trees.span("command.PlaceOrder");
    assert_ne!(reaction.span_context.trace_id(), placed.span_context.trace_id(), "a trace of its own still");
}
