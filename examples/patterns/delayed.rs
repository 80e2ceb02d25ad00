//! An event that is handled hours after it happened.

use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Propagation, Received};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;

use super::Failure;

pub(crate) async fn run() -> Result<(), Failure> {
    let bus = InProcessBus::new();
    // A message younger than an hour would continue the trace.
    let joined = Propagation::default().max_age(Duration::from_hours(1));
    let reminders = bus.subscribe("reminders").propagation(joined).handle(remind).await?;

    place_order(&bus, hours_ago(3)).await?;

    bus.shutdown().await?;
    reminders.finished().await?;
    Ok(())
}

fn hours_ago(hours: i64) -> Timestamp {
    let now = eventsource_runtime::clock::system().now();
    Timestamp::from_micros(now.as_micros() - hours * 3_600_000_000)
}

#[traced]
async fn place_order(bus: &InProcessBus, at: Timestamp) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}").with_occurred_at(at)).await?;
    Ok(())
}

#[traced]
async fn remind(_order: Received) -> Result<(), HandlerError> {
    Ok(())
}
