//! A store that has lost its last commits, as one may that took another's place.

use std::sync::Mutex;

use eventsource_tests::recorder::{Recorder, gauge};
use eventsource_tests::scratch::Scratch;

use super::anew::open;
use super::*;
use crate::in_time;

/// Loses the third event, and what was done with it.
fn lose_the_third(scratch: &Scratch) {
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.busy_timeout(Duration::from_secs(5)).unwrap();
    raw.execute_batch(
        "BEGIN IMMEDIATE;
         DROP TRIGGER events_are_not_deleted;
         DELETE FROM events WHERE position = 3;
         DELETE FROM seen WHERE position = 3;
         UPDATE projection_partitions SET position = 2;
         COMMIT",
    )
    .unwrap();
}

/// Nobody noticed while it waited: what was appended at the positions that it had seen was counted as applied, and
/// behind them the projection stopped for good.
#[tokio::test]
async fn a_checkpoint_that_went_back_is_gone_on_from() {
    let scratch = Scratch::new();
    let (store, stream) = (open(&scratch.file()).await, a_stream());
    let projections = runner(&store).projection(Tally::sound()).spawn();
    for _ in 0..3 {
        projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    }
    lose_the_third(&scratch);
    assert_eq!(cancel(&store, &stream, REASON, 1).await, Position::new(3));
    in_time(async {
        while seen(&store).await != [1, 2, 3] {
            tokio::task::yield_now().await;
        }
    })
    .await;
    projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    assert_eq!(seen(&store).await, [1, 2, 3, 4]);
    projections.shutdown().await.unwrap();
}

/// A projection that was done with all that is left had a gap until as many events had come again.
#[tokio::test]
async fn the_gap_forgets_the_end_of_the_feed_that_was_lost() {
    let (scratch, stream) = (Scratch::new(), a_stream());
    let (recorder, metrics) = Recorder::measured();
    let followed = recorder.run(async {
        let store = open(&scratch.file()).await;
        let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_millis(30));
        let projections = runner.projection(Tally::sound()).spawn();
        for _ in 0..3 {
            projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
        }
        lose_the_third(&scratch);
        // It is told together with the gap, as there is no other thread.
        while projections.checkpoint("Tally") != Some(Position::new(2)) {
            tokio::task::yield_now().await;
        }
        recorder.flush().await;
        assert_eq!(gauge(&metrics, "eventsource.projection.gap"), Some(0));
        projections.shutdown().await.unwrap();
    });
    in_time(followed).await;
}

/// Longer than a server needs to take another's place.
const A_WHILE: Duration = Duration::from_millis(300);

/// Waits until a lease of that time has run out.
async fn pass<S: ProjectionStore>(store: &S, projection: Arc<dyn Projection<S::Backend>>) {
    let part = Partition::whole(projection.name());
    store.open_projection(projection, 1, Position::START).await.unwrap();
    let claim = || Claim::new(Uuid::now_v7(), "test", A_WHILE);
    assert_eq!(store.lease_projection(part, claim()).await.unwrap().taken, None);
    while store.lease_projection(part, claim()).await.unwrap().taken.is_some() {
        tokio::task::yield_now().await;
    }
}

/// What it had passed over, since that was none of its own, was lost, and what came at the same positions was passed
/// over with it: while nothing happened, with the next event behind, and with one that is none of its own before that.
#[tokio::test]
async fn what_comes_in_the_place_of_what_was_passed_over_is_applied() {
    for (count, behind_another) in [(1, false), (2, false), (1, true)] {
        let scratch = Scratch::new();
        let (store, stream) = (open(&scratch.file()).await, a_stream());
        // Long enough that the checkpoint is not moved up before the end of the feed is lost.
        let runner = ProjectionRunner::new(store.clone()).lease(10 * A_WHILE);
        let projections = runner.projection(Tally::sound()).spawn();
        projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
        let pass_over = async || {
            let strange = NewEvent { event_type: "OrderStrange", ..cancellation(REASON, 1) };
            let passed = store.append(&a_stream(), ExpectedVersion::Any, vec![strange]).await.unwrap().position;
            projections.wait_for(passed).await.unwrap();
        };
        pass_over().await;
        pass(&store, Arc::new(Seen::default())).await;
        let raw = rusqlite::Connection::open(scratch.file()).unwrap();
        raw.busy_timeout(Duration::from_secs(5)).unwrap();
        raw.execute_batch(
            "BEGIN IMMEDIATE;
             DROP TRIGGER events_are_not_deleted;
             DELETE FROM events WHERE position = 2;
             UPDATE projection_partitions SET position = 1 WHERE projection = 'Tally';
             COMMIT",
        )
        .unwrap();
        let events = (0..count).map(|_| cancellation(REASON, 1)).collect();
        let mut last = store.append(&stream, ExpectedVersion::Any, events).await.unwrap().position;
        assert_eq!(last.get(), 1 + count);
        let mut expected: Vec<_> = (1..=last.get()).collect();
        if behind_another {
            pass_over().await;
            last = cancel(&store, &stream, REASON, 1).await;
            expected.push(last.get());
        }
        in_time(async {
            while seen(&store).await.last() != Some(&last.get()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(seen(&store).await, expected);
    }
}

/// The positions of what it has seen since it was emptied.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

#[projection]
impl Seen {
    #[projection(reset)]
    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn cancelled(&self, event: &Recorded<OrderCancelled>) {
        self.0.lock().unwrap().push(event.position().get());
    }
}

/// The next event was met by a checkpoint before the one that was left, for which the projection stopped.
#[tokio::test]
async fn a_read_model_that_another_has_emptied_is_filled_again() {
    let (store, stream, seen, part) = (MemoryStore::new(), a_stream(), Seen::default(), Partition::whole("Seen"));
    let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_millis(30));
    let runner = runner.projection(seen.clone()).spawn();
    for _ in 0..3 {
        runner.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    }
    let other = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    store.lease_projection(part, other.clone().by_force()).await.unwrap();
    store.reset_projection(Arc::new(seen.clone()), other.token).await.unwrap();
    // Who gives a lease up that is not its own is told whose it is: the runner has it back.
    in_time(async {
        while store.lease_projection(part, other.clone().given_up()).await.unwrap().taken.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    runner.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    in_time(async {
        while *seen.0.lock().unwrap() != [1, 2, 3, 4] {
            tokio::task::yield_now().await;
        }
    })
    .await;
    runner.shutdown().await.unwrap();
}
