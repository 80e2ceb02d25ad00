//! What is chosen for one projection, how far its parts are, and how many letters it may have.

use std::future::pending;

use tokio::sync::mpsc;

use super::*;

#[tokio::test]
async fn one_projection_has_retries_of_its_own() {
    let store = sqlite().await;
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let tally = Tally { poison: "poison", panics: false, left: Arc::clone(&left) };
    let chosen = ProjectionOptions::default().max_retries(0).on_failure(OnFailure::Skip);
    let projections = runner(&store).projection_with(tally, chosen).spawn();
    projections.wait_for(Position::START).await.unwrap();
    projections.wait_for(cancel(&store, &a_stream(), "{\"reason\":\"poison\"}", 1).await).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(usize::MAX - left.load(Ordering::SeqCst), 1, "the runner would have tried it five times more");
}

#[tokio::test]
async fn all_letters_of_a_stream_are_retried_however_many_there_are() {
    let (store, bad) = (sqlite().await, a_stream());
    let poison = std::iter::once(cancellation("{\"reason\":\"poison\"}", 1));
    let events = poison.chain((0..250).map(|_| cancellation(REASON, 1))).collect();
    let last = store.append(&bad, ExpectedVersion::NoStream, events).await.unwrap().position;
    let runner = ProjectionRunner::new(store.clone()).max_retries(0).on_failure(OnFailure::DeadLetter);
    let projections = runner.projection(Tally::poisoned(false)).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let letters = DeadLetters::new(store.clone(), Tally::sound());
    assert_eq!(letters.retry(&bad).await.unwrap(), 251);
    assert_eq!(letters.list(Position::START, 10).await.unwrap(), []);
    assert_eq!(seen(&store).await, (1..=251).collect::<Vec<_>>());
}

/// Hangs at the events of a stream, and tells which others it sees.
struct Halved {
    hangs: StreamId,
    begun: mpsc::UnboundedSender<Position>,
}

#[projection]
impl Halved {
    async fn cancelled(&self, event: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        if *event.stream_id() == self.hangs {
            pending::<()>().await;
        }
        Ok(self.begun.send(event.position())?)
    }
}

#[tokio::test]
async fn a_projection_is_as_far_as_the_part_that_is_furthest_behind() {
    let store = MemoryStore::new();
    let in_part = |index| {
        let mut streams = std::iter::repeat_with(a_stream);
        streams.find(|stream| Partition::of("Halved", stream, 2).index == index).unwrap()
    };
    let (hangs, goes_on, (begun, mut is_begun)) = (in_part(0), in_part(1), mpsc::unbounded_channel());
    let options = ProjectionOptions::default().partitions(2);
    let halved = Halved { hangs: hangs.clone(), begun };
    let projections = ProjectionRunner::new(store.clone()).projection_with(halved, options).spawn();
    projections.wait_for(Position::START).await.unwrap();
    cancel(&store, &hangs, REASON, 1).await;
    // When the next one has begun, all know of the one before.
    for _ in 0..2 {
        let position = cancel(&store, &goes_on, REASON, 1).await;
        assert_eq!(is_begun.recv().await, Some(position));
    }
    assert_eq!(projections.checkpoint("Halved"), Some(Position::START));
    projections.shutdown_within(Duration::ZERO).await.unwrap_err();
}
