//! The store in PostgreSQL, and what only a server can show.

mod aside;
mod crashes;
mod dropped;
mod faults;
mod inbox;
mod interleaved;
mod killed;
mod leases;
mod left;
mod loads;
mod locked;
mod lost;
mod names;
mod opening;
mod pooled;
mod projecting;
mod reader;
mod refusing;
mod resets;
mod several;
mod stalls;
mod standstill;
mod tls;
mod told;
mod turns;

use std::time::Duration;

use eventsource_runtime::store::{PostgresOptions, PostgresStore};
use eventsource_runtime::{event_store_suite, projection_suite, snapshot_store_suite};
use eventsource_tests::services;

use crate::{a_stream, events};

event_store_suite!(event_store, || async { open().await });
projection_suite!(projections, || async { open().await });
snapshot_store_suite!(snapshots, || async { open().await }, with_events);

/// An empty store, in a schema of its own.
async fn open() -> PostgresStore {
    open_in(&services::a_schema()).await
}

pub(super) async fn open_in(schema: &str) -> PostgresStore {
    PostgresStore::connect_with(&services::postgres(), options(schema)).await.unwrap()
}

/// A busy machine may take longer to connect than a server that is missing may be waited for.
fn options(schema: &str) -> PostgresOptions {
    PostgresOptions::default().schema(schema).connect_timeout(Duration::from_mins(1))
}
