//! Telemetry itself: what it tells in logs, and that it is never in the way of what it watches.

mod away;
mod balance;
mod console;
mod environment;
mod failures;
mod hostile;
mod injected;
mod logs;
mod reentrant;
mod teardown;

use std::alloc::System;

use eventsource_runtime::prelude::*;
use eventsource_tests::orders::{Order, OrderLine, PlaceOrder};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn place(order_id: Uuid) -> PlaceOrder {
    PlaceOrder {
        order_id,
        user_id: "user-7".into(),
        customer: "Ada".into(),
        lines: vec![OrderLine { product: "Keyboard".into(), quantity: 1 }],
        shipping_address: "1 Analytical Row".into(),
    }
}

fn bus<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build()
}
