//! Commands: what they store, and the spans that they leave.

use std::sync::Arc;

use eventsource_runtime::dispatch::DispatchJsonError;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{AppendError, MemoryStore};
use eventsource_tests::orders::{Order, OrderCancelled, OrderError, OrderPlaced, OrderReadModel};
use eventsource_tests::own_store::remote;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

use crate::{bus, place, ship, sqlite};

/// `contract/telemetry.md`, row by row, for one command and the projection that it causes.
pub(crate) const PLACED: &str = "\
command.PlaceOrder
  . command.user_id=user-7
  . cqrs.command.status=success
  . cqrs.command.type=PlaceOrder
  . cqrs.events.count=1
  . cqrs.side=write
  . eventsource.aggregate.id={order}
  . eventsource.aggregate.type=Order
  . eventsource.event.types=[\"OrderPlaced\"]
  . eventsource.retry.count=0
  . eventsource.version=1
  load_aggregate
    . cqrs.side=write
    . eventsource.aggregate.id={order}
    . eventsource.aggregate.type=Order
    . eventsource.events.loaded=0
    . eventsource.snapshot.used=false
    . eventsource.version=0
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
      . eventsource.events.loaded=0
      . eventsource.from_version=1
      . eventsource.stream.id=Order-{order}
  handle_command
    . cqrs.command.type=PlaceOrder
    . cqrs.events.count=1
    . cqrs.side=write
    . eventsource.aggregate.id={order}
    . eventsource.aggregate.type=Order
    . order.line_count=1
    ! domain_event_produced eventsource.event.type=OrderPlaced
  persist_events
    . cqrs.side=write
    . eventsource.aggregate.id={order}
    . eventsource.aggregate.type=Order
    . eventsource.event.count=1
    . eventsource.expected_version=0
    . eventsource.version=1
    ! event_persisted eventsource.event.type=OrderPlaced eventsource.position=1 eventsource.version=1
    event_store.append CLIENT
      . db.collection.name=events
      . db.operation.name=INSERT
      . db.system.name=sqlite
      . eventsource.event.count=1
      . eventsource.event.recorded_at={time}
      . eventsource.event.types=[\"OrderPlaced\"]
      . eventsource.expected_version=0
      . eventsource.position=1
      . eventsource.stream.id=Order-{order}
      . eventsource.version=1
projection.OrderReadModel CONSUMER
  ~> persist_events eventsource.event.id={event}
  . cqrs.projection.lag={lag}
  . cqrs.side=projection
  . eventsource.aggregate.id={order}
  . eventsource.event.recorded_at={time}
  . eventsource.event.type=OrderPlaced
  . eventsource.from_position=1
  . eventsource.projection.name=OrderReadModel
  . eventsource.projection.status=applied
  . eventsource.retry.count=0
  . eventsource.to_position=1
  . eventsource.version=1
  handler.placed
    . cqrs.side=projection
    . eventsource.event.type=OrderPlaced
    . eventsource.handler.name=placed
    . eventsource.position=1
    . eventsource.version=1
    projection.insert_read_model
      . projection.action=create
";

#[tokio::test]
async fn a_command_and_its_projection_leave_the_tree_of_the_contract() {
    let recorder = Recorder::new();
    let order = Uuid::now_v7();
    recorder
        .run(async {
            let store = sqlite().await;
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
            let committed = bus(&store).dispatch(place(order)).await.unwrap();
            projections.wait_for(committed.position).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    assert_eq!(recorder.trees().replace(order, "{order}").render(), PLACED);
    assert_eq!(recorder.open_spans(), 0);
}

#[tokio::test]
async fn a_rejection_is_no_error_of_the_span() {
    let recorder = Recorder::new();
    let refused = recorder.run(async { bus(&MemoryStore::new()).dispatch(ship(Uuid::now_v7())).await }).await;
    assert!(matches!(refused, Err(DispatchError::Rejected(OrderError::WrongStatus(_)))));
    let trees = recorder.trees();
    let names = "command.ShipOrder(load_aggregate(snapshot_store.get event_store.load) handle_command)";
    assert_eq!(trees.names(), names);
    let rendered = trees.render();
    assert!(!rendered.contains("ERROR"), "{rendered}");
    assert!(rendered.contains("cqrs.command.status=rejected"), "{rendered}");
    assert!(rendered.contains("error.type=WrongStatus"), "{rendered}");
}

#[tokio::test]
async fn a_store_in_the_process_makes_internal_spans_without_database_attributes() {
    let recorder = Recorder::new();
    recorder.run(async { bus(&MemoryStore::new()).dispatch(place(Uuid::now_v7())).await.unwrap() }).await;
    let rendered = recorder.trees().render();
    assert!(!rendered.contains("db."), "{rendered}");
    assert!(!rendered.contains("CLIENT"), "{rendered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conflicts_are_decided_again_until_every_command_is_in() {
    let store = sqlite().await;
    let order = Uuid::now_v7();
    let repository = Repository::<Order, _>::new(store.clone()).max_retries(1000);
    let bus = Arc::new(CommandBus::builder().aggregate(repository.clone()).build());
    bus.dispatch(place(order)).await.unwrap();
    let ships = (0..16).map(|_| {
        let bus = Arc::clone(&bus);
        tokio::spawn(async move { bus.dispatch(ship(order)).await })
    });
    let mut shipped = 0;
    for task in ships.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(_) => shipped += 1,
            Err(error) => assert!(error.is_rejected(), "{error}"),
        }
    }
    assert_eq!(shipped, 1);
    assert_eq!(repository.load(&order).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_command_id_makes_a_retry_return_the_first_result() {
    for store in [sqlite().await] {
        let bus = bus(&store);
        let (order, command_id) = (Uuid::now_v7(), Uuid::now_v7());
        let context = Context { command_id: Some(command_id), ..Context::default() };
        let first = bus.dispatch_with(place(order), context.clone()).await.unwrap();
        bus.dispatch(ship(order)).await.unwrap();
        // Decided again, the command would be refused: the order is shipped by now.
        let recorder = Recorder::new();
        let again = recorder.run(bus.dispatch_with(place(order), context)).await.unwrap();
        let loaded = recorder.trees().render();
        assert!(
            loaded.contains("events.loaded=0\n    . eventsource.snapshot.used=false\n    . eventsource.version=1"),
            "{loaded}"
        );
        assert!(again.repeated && !first.repeated);
        assert_eq!((again.version, again.position, again.events), (first.version, first.position, 1));
        assert_eq!(again.command_id, command_id);
    }
}

/// A handler of events sends its command with the id of the event, so that it is handled once however often the event
/// comes. The command that led to the event led to others as well.
#[tokio::test]
async fn the_id_of_an_event_is_that_of_a_command_that_follows() {
    follows(&MemoryStore::new()).await;
    follows(&sqlite().await).await;
}

async fn follows<S: EventStore + SnapshotStore>(store: &S) {
    let (bus, orders, order) = (bus(store), Repository::<Order, _>::new(store.clone()), Uuid::now_v7());
    let placed = OrderPlaced { customer: "Ada".into(), lines: Vec::new(), shipping_address: String::new() };
    orders.append(&order, ExpectedVersion::NoStream, vec![placed; 3]).await.unwrap();
    let events = store.read_stream(&StreamId::new("Order", order), Version::START, 3).await.unwrap();
    let because = |event: usize| Context { command_id: Some(events[event].id), ..Context::default() };
    assert!(!bus.dispatch_with(ship(order), because(0)).await.unwrap().repeated);
    assert!(bus.dispatch_with(ship(order), because(0)).await.unwrap().repeated);
    assert!(!bus.dispatch_with(place(Uuid::now_v7()), because(1)).await.unwrap().repeated);
}

#[tokio::test]
async fn an_event_bears_what_led_to_it() {
    let store = MemoryStore::new();
    let command_id = Uuid::now_v7();
    let metadata = Metadata::from_iter([("tenant", "north")]);
    let context = Context { command_id: Some(command_id), metadata: metadata.clone(), ..Context::default() };
    bus(&store).dispatch_with(place(Uuid::now_v7()), context).await.unwrap();
    let page = store.read_all(Position::START, &eventsource_runtime::store::Filter::all(), 10).await.unwrap();
    let event = &page.events[0];
    assert_eq!((event.correlation_id, event.causation_id), (Some(command_id), Some(command_id)));
    assert_eq!(event.metadata, metadata);
}

#[tokio::test]
async fn a_repository_serves_without_a_bus() {
    let orders = Repository::<Order, _>::new(sqlite().await);
    let id = Uuid::now_v7();
    assert!(!orders.exists(&id).await.unwrap());
    assert_eq!(orders.load(&id).await.unwrap().version, 0);
    let event = OrderCancelled { reason: "too slow".into() };
    let committed = orders.append(&id, ExpectedVersion::NoStream, [event.clone(), event.clone()]).await.unwrap();
    assert_eq!((committed.version.get(), committed.events), (2, 2));
    assert!(orders.exists(&id).await.unwrap());
    let conflict = orders.append(&id, ExpectedVersion::Exact(Version::new(1)), event).await.unwrap_err();
    let AppendError::Conflict(conflict) = conflict else { panic!("{conflict}") };
    assert_eq!(conflict.actual, 2);
    assert_eq!(
        conflict.to_string(),
        format!("`Order-{id}` is at version 2, expected 1; load it again and decide anew")
    );
}

#[tokio::test]
async fn commands_come_in_as_json() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = bus(&MemoryStore::new());
            let payload = serde_json::to_vec(&place(Uuid::now_v7())).unwrap();
            assert_eq!(bus.dispatch_json("PlaceOrder", &payload).await.unwrap().version, 1);
            let unknown = bus.dispatch_json("RefundOrder", b"{}").await.unwrap_err();
            assert!(matches!(unknown, DispatchJsonError::UnknownCommand { .. }), "{unknown}");
            let bad = bus.dispatch_json("PlaceOrder", b"{\"order_id\":7}").await.unwrap_err();
            assert!(matches!(bad, DispatchJsonError::BadPayload { .. }), "{bad}");
            let unfinished = bus.dispatch_json("PlaceOrder", "[".repeat(1000)).await.unwrap_err();
            assert!(matches!(unfinished, DispatchJsonError::BadPayload { .. }), "{unfinished}");
            let large = bus.dispatch_json("PlaceOrder", &vec![b' '; 2 << 20]).await.unwrap_err();
            assert!(matches!(large, DispatchJsonError::TooLarge { .. }), "{large}");
            let refused = bus.dispatch_json("ShipOrder", &serde_json::to_vec(&ship(Uuid::now_v7())).unwrap()).await;
            let Err(DispatchJsonError::Rejected { error_type, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(error_type, "WrongStatus");
        })
        .await;
    let trees = recorder.trees();
    let rendered = trees.render();
    assert!(rendered.contains("command.unknown ERROR \"No handler for RefundOrder\""), "{rendered}");
    assert_eq!(rendered.matches("command.PlaceOrder ERROR").count(), 3, "{rendered}");
    let of_orders = |span: &&SpanData| {
        let mut told = span.attributes.iter();
        told.any(|told| told.key.as_str() == "eventsource.aggregate.type" && told.value.as_str() == "Order")
    };
    let spans = recorder.spans();
    let placing = spans.iter().filter(|span| span.name == "command.PlaceOrder");
    assert_eq!(placing.filter(of_orders).count(), 4, "whose it is is known though its payload does not fit");
}

#[tokio::test]
async fn a_command_without_a_repository_says_so() {
    let recorder = Recorder::new();
    let refused = recorder.run(async { CommandBus::builder().build().dispatch(place(Uuid::now_v7())).await }).await;
    assert!(matches!(refused, Err(DispatchError::NoHandler { command: "PlaceOrder", .. })));
    let rendered = recorder.trees().render();
    assert!(rendered.contains("command.PlaceOrder ERROR \"No handler for PlaceOrder\""), "{rendered}");
}

#[tokio::test]
async fn events_of_an_import_come_once_with_what_is_told_of_them() {
    let store = MemoryStore::new();
    let orders = Repository::<Order, _>::new(store.clone());
    let (id, import, correlation) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let context = Context {
        command_id: Some(import),
        correlation_id: Some(correlation),
        metadata: Metadata::default().with("imported-from", "paper"),
        ..Context::default()
    };
    let events = || [OrderCancelled { reason: "late".into() }, OrderCancelled { reason: "lost".into() }];
    let (mut appended, mut told) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let recorder = Recorder::new();
        let append = orders.append_with(&id, ExpectedVersion::NoStream, events(), context.clone());
        appended.push(recorder.run(append).await.unwrap());
        told.push(recorder.trees().render().matches("event_persisted").count());
    }
    assert_eq!(told, [2, 0], "what was there is not persisted again");
    let appended: Vec<_> = appended.iter().map(|committed| (committed.version.get(), committed.repeated)).collect();
    assert_eq!(appended, [(2, false), (2, true)]);
    let stored = store.read_stream(&StreamId::new("Order", id), Version::START, 10).await.unwrap();
    assert_eq!(stored.len(), 2);
    for event in stored {
        assert_eq!((event.causation_id, event.correlation_id), (Some(import), Some(correlation)));
        assert_eq!(event.metadata.get("imported-from"), Some("paper"));
    }
}

/// The first part of what was appended passed for all of it, since a store knows each of its events.
#[tokio::test]
async fn an_import_with_more_or_fewer_events_than_the_first_is_another() {
    async fn check<S: EventStore + SnapshotStore>(store: S) {
        let orders = Repository::<Order, _>::new(store);
        let id = Uuid::now_v7();
        let context = Context { command_id: Some(Uuid::now_v7()), ..Context::default() };
        let reasons = ["late", "lost", "broken"];
        let append = async |count: usize| {
            let events: Vec<_> =
                reasons[..count].iter().map(|reason| OrderCancelled { reason: (*reason).into() }).collect();
            orders.append_with(&id, ExpectedVersion::NoStream, events, context.clone()).await
        };
        assert!(!append(2).await.unwrap().repeated);
        for count in [1, 3] {
            let refused = append(count).await;
            assert!(matches!(refused, Err(AppendError::IdempotencyMismatch { .. })), "{count}: {refused:?}");
        }
        let again = append(2).await.unwrap();
        assert_eq!((again.version.get(), again.repeated), (2, true));

        orders.append(&id, ExpectedVersion::Any, OrderCancelled { reason: "broken".into() }).await.unwrap();
        assert!(append(2).await.unwrap().repeated, "what others appended since is not part of it");
    }
    check(MemoryStore::new()).await;
    check(sqlite().await).await;
    check(remote()).await;
}
