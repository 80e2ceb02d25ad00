//! Two events, one reaction once both have arrived.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;

use super::Failure;

/// What has arrived for orders that are still incomplete. An application keeps this in a table or a process manager.
#[derive(Default)]
struct Waiting(Mutex<HashMap<StreamId, Vec<Received>>>);

impl Waiting {
    /// Both parts, once the second has arrived.
    fn complete(&self, part: Received) -> Option<Vec<Received>> {
        let order = part.stream()?.clone();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = waiting.entry(order.clone()).or_default();
        parts.push(part);
        if parts.len() < 2 { None } else { waiting.remove(&order) }
    }
}

pub(crate) async fn run() -> Result<(), Failure> {
    let (bus, waiting) = (InProcessBus::new(), Arc::new(Waiting::default()));
    let shipping = bus.subscribe("shipping").handle(move |part: Received| {
        let waiting = Arc::clone(&waiting);
        async move {
            if let Some(parts) = waiting.complete(part) {
                ship(parts).await;
            }
            Ok::<_, HandlerError>(())
        }
    });
    let shipping = shipping.await?;

    take_payment(&bus).await?;
    reserve_stock(&bus).await?;

    bus.shutdown().await?;
    shipping.finished().await?;
    Ok(())
}

#[traced]
async fn take_payment(bus: &InProcessBus) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "PaymentTaken", "{}")).await?;
    Ok(())
}

#[traced]
async fn reserve_stock(bus: &InProcessBus) -> Result<(), Failure> {
    bus.publish(Message::new(StreamId::new("Order", 42), "StockReserved", "{}")).await?;
    Ok(())
}

/// Both events led to this, so neither is the parent.
#[traced(root, links = parts)]
async fn ship(parts: Vec<Received>) {
    drop(parts);
}
