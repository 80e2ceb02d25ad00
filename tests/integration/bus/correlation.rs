//! What handlers dispatch follows from what they handle, without being told.

use std::sync::Arc;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received, Relay};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionError;
use eventsource_runtime::store::{Filter, MemoryStore, MemoryTransaction, StreamId};
use eventsource_runtime::{Event, StoredEvent};
use eventsource_tests::orders::{Order, OrderCancelled, OrderPlaced};
use uuid::Uuid;

use super::spans::until_settled;
use crate::{bus, place};

type Handled = Result<(), HandlerError>;

/// What a handler of one message leaves in a store.
async fn handled<H, R>(message: Message, handler: H) -> Vec<StoredEvent>
where
    H: Fn(MemoryStore) -> R + Send + Sync + 'static,
    R: Future<Output = Handled> + Send + 'static,
{
    let (events, store) = (InProcessBus::new(), MemoryStore::new());
    let kept = store.clone();
    let running = events.subscribe("orders").handle(move |_: Received| handler(kept.clone())).await.unwrap();
    events.publish(message).await.unwrap();
    until_settled(&running, 1).await;
    assert_eq!(running.shutdown().await.unwrap().dead_lettered, 0);
    all(&store).await
}

async fn all(store: &MemoryStore) -> Vec<StoredEvent> {
    store.read_all(Position::START, &Filter::all(), 100).await.unwrap().events
}

fn message() -> Message {
    Message::new(StreamId::new("Order", 1), OrderPlaced::NAME, "{}")
}

async fn one_placed(store: MemoryStore) -> Handled {
    bus(&store).dispatch(place(Uuid::now_v7())).await?;
    Ok(())
}

fn cause(event: &StoredEvent) -> (Option<Uuid>, Option<Uuid>) {
    (event.correlation_id, event.causation_id)
}

#[tokio::test]
async fn a_command_follows_from_the_message_that_is_handled() {
    let story = Uuid::now_v7();
    let sent = message().with_correlation_id(story).with_causation_id(Uuid::now_v7());
    let events = handled(sent.clone(), one_placed).await;
    assert_eq!(cause(&events[0]), (Some(story), sent.id()));
}

#[tokio::test]
async fn a_message_without_a_correlation_begins_one() {
    let sent = message();
    let events = handled(sent.clone(), one_placed).await;
    assert_eq!(cause(&events[0]), (sent.id(), sent.id()));
}

#[tokio::test]
async fn so_do_commands_by_name_and_events_without_a_command() {
    let sent = message();
    let events = handled(sent.clone(), async |store: MemoryStore| {
        let payload = serde_json::to_vec(&place(Uuid::now_v7()))?;
        bus(&store).dispatch_json("PlaceOrder", &payload).await?;
        let cancelled = OrderCancelled { reason: "too late".into() };
        Repository::<Order, _>::new(store).append(&Uuid::now_v7(), ExpectedVersion::NoStream, cancelled).await?;
        Ok(())
    })
    .await;
    let causes: Vec<_> = events.iter().map(cause).collect();
    assert_eq!(causes, [(sent.id(), sent.id()); 2]);
}

#[tokio::test]
async fn what_the_caller_names_goes_first() {
    let (command, story) = (Uuid::now_v7(), Uuid::now_v7());
    let sent = message();
    let events = handled(sent.clone(), move |store: MemoryStore| async move {
        let named = Context { command_id: Some(command), ..Context::default() };
        bus(&store).dispatch_with(place(Uuid::now_v7()), named).await?;
        let named = Context { correlation_id: Some(story), ..Context::default() };
        bus(&store).dispatch_with(place(Uuid::now_v7()), named).await?;
        Ok(())
    })
    .await;
    let causes: Vec<_> = events.iter().map(cause).collect();
    assert_eq!(causes, [(sent.id(), Some(command)), (Some(story), sent.id())]);
}

/// It may outlive the handler, and then what it does follows from nothing that is at hand.
#[tokio::test]
async fn a_task_that_a_handler_spawns_is_on_its_own() {
    let sent = message();
    let events = handled(sent.clone(), async |store: MemoryStore| tokio::spawn(one_placed(store)).await?).await;
    let (correlation, causation) = cause(&events[0]);
    assert!(correlation.is_some() && correlation == causation, "the command's id");
    assert_ne!(correlation, sent.id());
}

#[tokio::test]
async fn of_a_batch_no_message_is_the_cause() {
    let (events, store) = (InProcessBus::new(), MemoryStore::new());
    let sent = [message(), message()];
    let kept = store.clone();
    let handler = move |batch: Vec<Received>| {
        assert_eq!(batch.len(), 2);
        one_placed(kept.clone())
    };
    let running = events.subscribe("orders").handle_batches(2, handler).await.unwrap();
    events.publish_all(sent.clone()).await.unwrap();
    until_settled(&running, 2).await;
    assert_eq!(running.shutdown().await.unwrap().dead_lettered, 0);
    let (correlation, causation) = cause(&all(&store).await[0]);
    assert!(correlation.is_some() && correlation == causation, "the command's id");
    assert!(!sent.iter().any(|message| message.id() == correlation));
}

struct Places(MemoryStore);

#[projection]
impl Places {
    async fn placed(&self, _: &Recorded<OrderPlaced>, _: &MemoryTransaction) -> Result<(), ProjectionError> {
        bus(&self.0).dispatch(place(Uuid::now_v7())).await?;
        Ok(())
    }
}

#[tokio::test]
async fn it_goes_on_from_an_event_through_a_relay_and_a_handler_and_a_projection() {
    let (first, second, third) = (MemoryStore::new(), MemoryStore::new(), MemoryStore::new());
    let messages = InProcessBus::new();
    let orders = Arc::new(bus(&second));
    let handler = move |_: Received| {
        let orders = Arc::clone(&orders);
        async move {
            orders.dispatch(place(Uuid::now_v7())).await?;
            Ok::<_, HandlerError>(())
        }
    };
    let running = messages.subscribe("orders").handle(handler).await.unwrap();
    let relay = Relay::new("orders to the bus", first.clone(), messages.clone()).spawn();
    let projections = ProjectionRunner::new(second.clone()).projection(Places(third.clone())).spawn();
    let command = bus(&first).dispatch(place(Uuid::now_v7())).await.unwrap().command_id;
    until_settled(&running, 1).await;
    projections.wait_for(Position::new(1)).await.unwrap();
    projections.shutdown().await.unwrap();
    relay.shutdown().await.unwrap();
    let _ = running.shutdown().await.unwrap();
    let (first, second, third) = (all(&first).await, all(&second).await, all(&third).await);
    assert_eq!(cause(&first[0]), (Some(command), Some(command)));
    assert_eq!(cause(&second[0]), (Some(command), Some(first[0].id)));
    assert_eq!(cause(&third[0]), (Some(command), Some(second[0].id)));
}
