//! The product as its users meet it: one module a behaviour.

mod bus;
mod canary;
mod cancellation;
mod cardinality;
mod dispatch;
mod errors;
mod examples;
mod floats;
mod following;
mod formerly;
mod leaks;
mod limits;
mod misbehaving;
mod otlp;
mod places;
mod process_managers;
mod projecting;
mod propagation;
mod read_path;
mod recovery;
mod sampling;
mod shapes;
mod shutdown;
mod skew;
mod snapshots;
mod stored_names;
mod testing;
mod toggles;
mod traced;
mod transfers;
mod unanswered;
mod unreadable;
mod w3c;
mod write_path;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventsource_runtime::store::SqliteStore;
use eventsource_tests::dropping::dropped_after;
use eventsource_tests::orders::ShipOrder;
use eventsource_tests::placing::{bus, place};
use uuid::Uuid;

fn ship(order_id: Uuid) -> ShipOrder {
    ShipOrder { order_id, carrier: "North Post".into(), tracking: "T-1".into() }
}

async fn sqlite() -> SqliteStore {
    SqliteStore::open(":memory:").await.expect("a store in memory opens")
}

async fn in_time<F: Future>(body: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), body).await.expect("it happens in time")
}

/// Held by who changes the hook of panics, which the process has one of, or panics where one was set.
fn hold_panic_hook() -> MutexGuard<'static, ()> {
    static HOOK: Mutex<()> = Mutex::new(());
    HOOK.lock().unwrap_or_else(PoisonError::into_inner)
}
