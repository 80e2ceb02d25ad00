//! Backlogs that pile up before a projection that is live.

use eventsource_runtime::projection::ProjectionOptions;
use eventsource_tests::hooked::{Asked, Hooked};

use super::*;

/// In how many batches a projection that is live applies what is appended while the feed cannot be read.
async fn batches_of(store: &Faulty, parts: u32, backlog: impl Future<Output = Position>) -> usize {
    let effects = Effects::new();
    let options = ProjectionOptions::default().partitions(parts);
    let projections = ProjectionRunner::new(store.clone()).projection_with(effects.clone(), options).spawn();
    projections.wait_for(store.head().await.unwrap()).await.unwrap();
    let (batches, count) = (store.batches(), effects.count());
    let begun = store.head().await.unwrap();
    store.fail_reads(usize::MAX);
    let last = backlog.await;
    store.fail_reads(0);
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!((effects.count() - count) as u64, last.get() - begun.get(), "each event once");
    store.batches() - batches
}

/// A page of 64 was taken for live where most of its events were other parts', and the next had 64 again: they went
/// event by event for ever, however long the backlog was.
#[tokio::test]
async fn a_backlog_goes_in_batches_in_every_part_of_a_projection() {
    let store = Faulty::default();
    let batches = batches_of(&store, 4, place_many(&store, 2000)).await;
    assert!(batches < 400, "{batches} batches");
}

/// No page had 64 events, as so many would have been too large.
#[tokio::test]
async fn a_backlog_of_large_events_goes_in_batches() {
    let store = Faulty::default();
    cancel_at_length(&store, 70, 100_000).await;
    let batches = batches_of(&store, 1, cancel_at_length(&store, 300, 100_000)).await;
    assert!(batches < 100, "{batches} batches");
}

/// The pages stayed as short as those of the large events had to be.
#[tokio::test]
async fn a_backlog_behind_a_large_event_goes_in_batches() {
    let store = Faulty::default();
    cancel_at_length(&store, 1, 2_000_000).await;
    let batches = batches_of(&store, 1, cancel_many(&store, 500)).await;
    assert!(batches < 100, "{batches} batches");
}

/// Many events, each of which takes a while.
struct Slow;

#[projection]
impl Slow {
    async fn cancelled(&self, _: &Recorded<OrderCancelled>) {
        tokio::task::yield_now().await;
    }
}

/// Between two batches it was asked for, and waited for, however long the answer took.
#[tokio::test]
async fn no_batch_waits_for_the_head_that_the_gap_is_told_by() {
    let (recorder, _metrics) = Recorder::measured();
    let caught_up = recorder.run(async {
        let (store, asked_before) = (MemoryStore::new(), AtomicBool::new(false));
        let silent = Hooked::new(&store, move |asked| {
            let hangs = asked == Asked::Head && asked_before.swap(true, Ordering::SeqCst);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
            }
        });
        let last = cancel_many(&store, 500).await;
        let projections = ProjectionRunner::new(silent).projection(Slow).spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
    in_time(caught_up).await;
}

/// Cancellations of one order, for reasons of this length.
async fn cancel_at_length(store: &Faulty, count: usize, length: usize) -> Position {
    let orders = Repository::<Order, _>::new(store.clone());
    let events: Vec<_> = (0..count).map(|_| OrderCancelled { reason: "x".repeat(length) }).collect();
    orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, events).await.unwrap().position
}
