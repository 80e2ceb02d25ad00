//! Commands through the bus.

use std::time::Duration;

use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, ids};
use eventsource_bench::sample::timed;
use eventsource_runtime::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A bus over a store.
pub(crate) fn bus(store: impl EventStore + SnapshotStore) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build()
}

/// Gives so many orders their ten commands each, one after the other, in so many tasks at once.
pub(crate) fn run(runtime: &Runtime, bus: &CommandBus, orders: usize, tasks: usize) -> (u64, Duration) {
    let orders = ids(orders);
    let ((), elapsed) = timed(|| {
        runtime.block_on(async {
            if tasks == 1 {
                return handle_all(bus, &orders).await;
            }
            let handles = orders.chunks(orders.len().div_ceil(tasks)).map(|orders| {
                let (bus, orders) = (bus.clone(), orders.to_vec());
                tokio::spawn(async move { handle_all(&bus, &orders).await })
            });
            for handle in handles.collect::<Vec<_>>() {
                handle.await.expect("no task panics");
            }
        });
    });
    ((orders.len() * COMMANDS) as u64, elapsed)
}

/// Round by round, so that no order's pages are always the last ones used.
async fn handle_all(bus: &CommandBus, orders: &[Uuid]) {
    for ordinal in 0..COMMANDS {
        for &order in orders {
            let committed = AnyCommand::nth(ordinal).dispatch(bus, order).await;
            assert_eq!(committed.version, ordinal as u64 + 1);
        }
    }
}
