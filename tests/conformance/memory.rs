//! The store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Batch, Claim, DeadLetter, Partition, PartitionsChanged, ProjectionStore};
use eventsource_runtime::store::{Filter, MemoryStore, NewEvent, Origin, Page};
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

/// Waits in its step, and counts it then.
#[derive(Clone, Default)]
struct Slow {
    ends: Arc<Notify>,
    count: Arc<AtomicUsize>,
}

#[projection]
impl Slow {
    #[projection(reset)]
    fn clear(&self) {
        self.count.store(0, Ordering::SeqCst);
    }

    async fn placed(&self, _: &Recorded<Placed>) {
        self.ends.notified().await;
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store with one event, which is not applied yet.
async fn placed() -> (MemoryStore, Slow, Page) {
    let (store, slow) = (MemoryStore::new(), Slow::default());
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = NewEvent::encode(Uuid::now_v7(), &Placed {}, origin).unwrap();
    store.append(&StreamId::new("Order", 1), ExpectedVersion::Any, vec![event]).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    (store, slow, page)
}

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "a test", Duration::from_mins(1))
}

/// The parts were laid out anew under it, and what it had done was done again.
#[tokio::test]
async fn parts_are_not_laid_out_anew_under_a_batch() {
    let (store, slow, page) = placed().await;
    let projection = || Arc::new(slow.clone());
    store.open_projection(projection(), 2, Position::START).await.unwrap();
    let second = Partition::all("Slow", 2).nth(1).unwrap();
    let claim = claim();
    assert_eq!(store.lease_projection(second, claim.clone()).await.unwrap().taken, None);
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

/// What the letter's event did came behind the reset, and then the event was applied again.
#[tokio::test]
async fn a_reset_waits_for_a_letter_that_is_retried() {
    let (store, slow, page) = placed().await;
    let projection = || Arc::new(slow.clone());
    store.open_projection(projection(), 2, Position::START).await.unwrap();
    let claim = claim();
    for part in Partition::all("Slow", 2) {
        assert_eq!(store.lease_projection(part, claim.clone()).await.unwrap().taken, None);
    }
    let letter = DeadLetter::parked(&page.events[0], Timestamp::from_micros(1));
    let part = Partition::of("Slow", &letter.stream, 2);
    let batch = Batch::new(part, claim.clone(), Position::START, page.scanned).set_aside(Some(letter));
    store.apply_batch(projection(), batch, Scope::current()).await.unwrap();
    let event = page.events.into_iter().next();
    let mut settled = Box::pin(store.settle_dead_letter(projection(), page.scanned, event, Scope::current()));
    assert!(settled.as_mut().now_or_never().is_none());
    let mut reset = Box::pin(store.reset_projection(projection(), claim.token));
    assert!(reset.as_mut().now_or_never().is_none(), "a letter is being retried");
    slow.ends.notify_one();
    assert!(settled.await.unwrap());
    reset.await.unwrap();
    assert_eq!(slow.count.load(Ordering::SeqCst), 0);
}
