//! A runner in trouble, while another one waits for its lease.

use super::anew::{Scratch, open};
use super::*;

/// Longer than the short pauses between attempts, and shorter than the long ones.
const TERM: Duration = Duration::from_millis(600);

/// The lease was renewed in long attempts, not between short ones: the other runner took it in a pause, began to try
/// anew, lost it in the same way, and no policy ever acted.
#[tokio::test]
async fn pauses_longer_than_a_lease_lose_it_to_nobody() {
    let scratch = Scratch::new();
    let stream = a_stream();
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (mut stores, mut runners) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let store = open(&scratch.file()).await;
        let tally = Tally { poison: "poison", panics: false, left: Arc::clone(&left) };
        let runner = ProjectionRunner::new(store.clone()).lease(TERM).on_failure(OnFailure::Skip);
        runners.push(runner.projection(tally).spawn());
        stores.push(store);
    }
    let before = cancel(&stores[0], &stream, REASON, 1).await;
    runners[0].wait_for(before).await.unwrap();
    cancel(&stores[0], &stream, "{\"reason\":\"poison\"}", 1).await;
    let after = cancel(&stores[0], &stream, REASON, 1).await;
    let settled = tokio::time::timeout(Duration::from_secs(20), runners[0].wait_for(after)).await;
    assert!(settled.is_ok(), "{} attempts and no end", usize::MAX - left.load(Ordering::SeqCst));
    assert_eq!(seen(&stores[0]).await, numbers(&[before, after]));
    assert_eq!(usize::MAX - left.load(Ordering::SeqCst), 6, "one attempt and five more");
    for runner in runners {
        runner.shutdown().await.unwrap();
    }
}

/// A term of which nobody sees the end, times three.
#[tokio::test]
async fn the_longest_lease_and_the_longest_wait_for_a_lock_are_long() {
    let scratch = Scratch::new();
    let options = SqliteOptions::default().busy_timeout(Duration::MAX);
    let store = SqliteStore::open_with(scratch.file(), options).await.unwrap();
    let projections = ProjectionRunner::new(store.clone()).lease(Duration::MAX).projection(Tally::sound()).spawn();
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
}
