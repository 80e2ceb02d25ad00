//! The switches of a process, and what is left where they are off: nothing. A process has them once, so each test takes
//! its turn.

mod allocations;
mod components;
mod each;
mod metrics;
mod options;
mod panics;
mod process;

use std::alloc::System;

use eventsource_runtime::Handlers;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::orders::PlaceOrder;
use eventsource_tests::placing;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static TURN: Mutex<()> = Mutex::const_new(());

async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

fn place(order_id: Uuid, lines: usize) -> PlaceOrder {
    let one = placing::place(order_id);
    PlaceOrder { lines: one.lines.iter().cycle().take(lines).cloned().collect(), ..one }
}

fn bus<A: Handlers<Services = ()>>(store: &MemoryStore) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<A, _>::new(store.clone())).build()
}
