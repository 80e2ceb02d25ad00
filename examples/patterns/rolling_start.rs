//! Instrumented producers next to producers that are not instrumented yet.

use eventsource_runtime::bus::{EventBus, HandlerError, InProcessBus, Message, Propagation, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;

use super::Failure;

pub(crate) async fn run() -> Result<(), Failure> {
    let bus = InProcessBus::new();
    let inventory = bus.subscribe("inventory").propagation(Propagation::default()).handle(reserve_stock).await?;

    place_order_of_old(&bus).await?;
    place_order(&bus).await?;

    bus.shutdown().await?;
    inventory.finished().await?;
    Ok(())
}

/// Publishes like an uninstrumented program: bypasses the spans of the bus, which put their context on the message.
async fn place_order_of_old(bus: &InProcessBus) -> Result<(), Failure> {
    let message = Message::new(StreamId::new("Order", 41), "OrderPlaced", "{}");
    for published in bus.inner().publish(vec![message]).await {
        published?;
    }
    Ok(())
}

#[traced]
async fn place_order(bus: &InProcessBus) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await?;
    Ok(())
}

#[traced]
async fn reserve_stock(_order: Received) -> Result<(), HandlerError> {
    Ok(())
}
