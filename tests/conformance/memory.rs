//! The store in memory.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Batch, Claim, Partition, PartitionsChanged, ProjectionStore};
use eventsource_runtime::store::{Filter, MemoryStore, NewEvent, Origin};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::{event_store_suite, projection_suite, snapshot_store_suite};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

event_store_suite!(event_store, || async { MemoryStore::new() });
projection_suite!(projections, || async { MemoryStore::new() });
snapshot_store_suite!(snapshot_store, || async { MemoryStore::new() }, with_events);

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

/// Waits in its step.
#[derive(Clone, Default)]
struct Slow {
    ends: Arc<Notify>,
}

#[projection]
impl Slow {
    async fn placed(&self, _: &Recorded<Placed>) {
        self.ends.notified().await;
    }
}

/// The parts were laid out anew under it, and what it had done was done again.
#[tokio::test]
async fn parts_are_not_laid_out_anew_under_a_batch() {
    let (store, slow) = (MemoryStore::new(), Slow::default());
    let projection = || Arc::new(slow.clone());
    store.open_projection(projection(), 2, Position::START).await.unwrap();
    let second = Partition::all("Slow", 2).nth(1).unwrap();
    let claim = Claim::new(Uuid::now_v7(), "a test", Duration::from_mins(1));
    assert_eq!(store.lease_projection(second, claim.clone()).await.unwrap().taken, None);
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = NewEvent::encode(Uuid::now_v7(), &Placed {}, origin).unwrap();
    store.append(&StreamId::new("Order", 1), ExpectedVersion::Any, vec![event]).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    let batch = Batch::new(second, claim, Position::START, page.scanned).events(page.events);
    let mut applied = Box::pin(store.apply_batch(projection(), batch, Scope::current()));
    assert!(applied.as_mut().now_or_never().is_none());
    let mut opened = Box::pin(store.open_projection(projection(), 3, Position::START));
    assert!(opened.as_mut().now_or_never().is_none(), "a batch is under way");
    slow.ends.notify_one();
    applied.await.unwrap();
    let error = opened.await.unwrap_err();
    assert!(error.cause().is::<PartitionsChanged>(), "{error}");
}
