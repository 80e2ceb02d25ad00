//! The store in memory.

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::{event_store_suite, projection_suite, snapshot_store_suite};

event_store_suite!(event_store, || async { MemoryStore::new() });
projection_suite!(projections, || async { MemoryStore::new() });
snapshot_store_suite!(snapshot_store, || async { MemoryStore::new() }, with_events);
