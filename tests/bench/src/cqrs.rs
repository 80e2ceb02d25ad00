//! The order of [`orders`](crate::orders) for cqrs-es, and so for its stores.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use crate::orders::{AnyCommand, ItemAdded, NoteTaken, Order, OrderEvent, OrderPlaced, Refused, apply};

/// The order as cqrs-es wants it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PeerOrder(Order);

/// Its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerEvent {
    /// It was placed.
    Placed(OrderPlaced),
    /// An item was added.
    Added(ItemAdded),
    /// A note was taken.
    Noted(NoteTaken),
}

impl DomainEvent for PeerEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Placed(_) => "OrderPlaced",
            Self::Added(_) => "ItemAdded",
            Self::Noted(_) => "NoteTaken",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for PeerOrder {
    const TYPE: &'static str = "Order";
    type Command = AnyCommand;
    type Event = PeerEvent;
    type Error = Refused;
    type Services = ();

    async fn handle(&mut self, command: AnyCommand, (): &(), sink: &EventSink<Self>) -> Result<(), Refused> {
        let event = match command.decide(&self.0)? {
            OrderEvent::OrderPlaced(event) => PeerEvent::Placed(event),
            OrderEvent::ItemAdded(event) => PeerEvent::Added(event),
            OrderEvent::NoteTaken(event) => PeerEvent::Noted(event),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: PeerEvent) {
        let event = match event {
            PeerEvent::Placed(event) => event.into(),
            PeerEvent::Added(event) => event.into(),
            PeerEvent::Noted(event) => event.into(),
        };
        apply(&mut self.0, event);
    }
}
