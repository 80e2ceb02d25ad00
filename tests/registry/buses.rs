//! Everything that buses do, at least once: within the process, and on brokers that strangers play.

use std::sync::Arc;

use eventsource_runtime::bus::{EventBus, HandlerError, InProcessBus, Message, Received, Relay, Traced};
use eventsource_runtime::clock;
use eventsource_runtime::store::{MemoryStore, StreamId};
use eventsource_tests::own_bus::{remote, routing, until_settled};
use tokio::sync::Semaphore;

/// What is returned keeps the gauges of a relay, a subscription and a bus alive.
pub(crate) async fn all() -> impl Sized {
    on(&InProcessBus::new()).await;
    on(&remote()).await;
    on(&routing()).await;
    let nobody = InProcessBus::new();
    nobody.shutdown_within(std::time::Duration::ZERO).await.unwrap();
    nobody.publish(message("OrderPlaced")).await.unwrap_err();
    let (store, bus) = (MemoryStore::new(), remote());
    bus.publish(message("OrderPlaced")).await.unwrap();
    bus.inner().fail(1);
    bus.publish(message("OrderPlaced")).await.unwrap_err();
    let running = bus.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
    (Relay::new("orders to the bus", store, bus.clone()).spawn(), running, bus)
}

fn message(event_type: &str) -> Message {
    Message::new(StreamId::new("Order", 42), event_type, "{}")
}

async fn on<B: EventBus>(bus: &Traced<B>) {
    // The first batch waits, so that the second one is of several messages.
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let handler = move |batch: Vec<Received>| {
        let gate = Arc::clone(&shared);
        async move {
            drop(gate.acquire().await?);
            let fails = batch.iter().any(|received| received.event_type() == Some("OrderLost"));
            if fails { Err(HandlerError::new("as it must")) } else { Ok(()) }
        }
    };
    let running = bus.subscribe("inventory").max_retries(1).handle_batches(200, handler).await.unwrap();
    bus.publish(message("OrderPlaced")).await.unwrap();
    bus.publish_all((0..140).map(|_| message("OrderPlaced"))).await.unwrap();
    gate.add_permits(1);
    until_settled(&running, 141).await;
    let malformed = [("traceparent", &b"nonsense"[..])];
    let lost = message("OrderLost").with_occurred_at(clock::system().now());
    bus.publish_all([lost, Message::read(malformed, "{}".into())]).await.unwrap();
    until_settled(&running, 143).await;
    running.shutdown().await.unwrap();
    let second = async |received: Received| match received.attempt() {
        0 => Err(HandlerError::new("not at once")),
        _ => Ok(()),
    };
    let replay = bus.retry_dead_letters("inventory").handle(second).await.unwrap();
    assert_eq!(replay.finished().await.unwrap().acknowledged, 1);
}
