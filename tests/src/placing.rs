//! Orders to place, and a bus that takes them.

use eventsource_runtime::prelude::*;
use uuid::Uuid;

use crate::orders::{Order, OrderLine, PlaceOrder};

/// A command that succeeds.
#[must_use]
pub fn place(order_id: Uuid) -> PlaceOrder {
    PlaceOrder {
        order_id,
        user_id: "user-7".into(),
        customer: "Ada".into(),
        lines: vec![OrderLine { product: "Keyboard".into(), quantity: 1 }],
        shipping_address: "1 Analytical Row".into(),
    }
}

/// A bus for orders on a store.
pub fn bus<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build()
}
