//! A component's own switches: a call to a store that finds nothing, with the store's spans and metrics switched off,
//! and without the part of the store that they belong to.

use std::sync::LazyLock;

use eventsource_runtime::store::{EventStore, MemoryStore, StreamId, Version};
use uuid::Uuid;

use super::{Calls, ID, poll_once, repeat, repeat_async};

static STORE: LazyLock<MemoryStore> = LazyLock::new(MemoryStore::new);
static QUIET: LazyLock<MemoryStore> = LazyLock::new(|| MemoryStore::new().enable_tracing(false).enable_metrics(false));
static STREAM: LazyLock<StreamId> = LazyLock::new(|| StreamId::new("Order", 42));

async fn read(store: &impl EventStore) -> u64 {
    store.read_stream(&STREAM, Version::new(0), 10).await.map_or(0, |events| events.len() as u64)
}

#[inline(never)]
async fn inner(_: u64, _: &Uuid) -> u64 {
    read(STORE.inner()).await
}

#[inline(never)]
async fn switchable(_: u64, _: &Uuid) -> u64 {
    read(&*STORE).await
}

#[inline(never)]
async fn switched_off(_: u64, _: &Uuid) -> u64 {
    read(&*QUIET).await
}

/// The store without spans and metrics.
pub(super) const INNER: Calls = Calls {
    sync: |calls| repeat(calls, |count, id| poll_once(inner(count, id))),
    future: |calls| repeat_async(calls, ID, inner),
};

/// The store with its spans and metrics, which the process switches off.
pub(super) const SWITCHABLE: Calls = Calls {
    sync: |calls| repeat(calls, |count, id| poll_once(switchable(count, id))),
    future: |calls| repeat_async(calls, ID, switchable),
};

/// The store with its spans and metrics, which are switched off by the store's own switches.
pub(super) const SWITCHED_OFF: Calls = Calls {
    sync: |calls| repeat(calls, |count, id| poll_once(switched_off(count, id))),
    future: |calls| repeat_async(calls, ID, switched_off),
};
