//! The store in memory.

use eventsource_runtime::event_store_suite;
use eventsource_runtime::store::MemoryStore;

event_store_suite!(event_store, || async { MemoryStore::new() });
