//! Five events, handled as one batch.

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;
use tokio::sync::Notify;

use super::Failure;

/// The consumer is busy, so that five messages wait for it.
static BUSY: Notify = Notify::const_new();
static FREE: Notify = Notify::const_new();

pub(crate) async fn run() -> Result<(), Failure> {
    let bus = InProcessBus::new();
    let figures = bus.subscribe("figures").handle_batches(10, handle).await?;

    bus.publish(Message::new(StreamId::new("Shop", 1), "YearClosed", "{}")).await?;
    BUSY.notified().await;
    for order in 1..=5 {
        place_order(&bus, order).await?;
    }
    FREE.notify_one();

    bus.shutdown().await?;
    figures.finished().await?;
    Ok(())
}

#[traced(attributes("order" = order))]
async fn place_order(bus: &InProcessBus, order: u32) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", order), "OrderPlaced", "{}")).await?;
    Ok(())
}

async fn handle(messages: Vec<Received>) -> Result<(), HandlerError> {
    if messages.iter().any(|message| message.event_type() == Some("YearClosed")) {
        BUSY.notify_one();
        FREE.notified().await;
        return Ok(());
    }
    count_orders(messages).await
}

#[traced(attributes("orders" = orders.len()))]
async fn count_orders(orders: Vec<Received>) -> Result<(), HandlerError> {
    Ok(())
}
