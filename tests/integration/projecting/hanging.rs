//! A step that waits for what does not come.

use eventsource_tests::logged::Log;
use tokio::sync::Semaphore;

use super::*;

/// Waits until it is closed.
#[derive(Clone)]
struct Hanging(Arc<Semaphore>);

#[projection]
impl Hanging {
    async fn cancelled(&self, _: &Recorded<OrderCancelled>) {
        let _ = self.0.acquire().await;
    }
}

/// No error, no attempt and no log record told of it. On a clock that goes on when all wait for it.
#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_told_less_and_less_often() {
    const SLOW: &str = "eventsource.projection.slow";
    let (log, _guard) = Log::of_thread();
    let (store, hanging) = (MemoryStore::new(), Hanging(Arc::new(Semaphore::new(0))));
    cancel(&store, &a_stream(), REASON, 1).await;
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    let projections = ProjectionRunner::new(store).projection(hanging.clone()).spawn();
    // After 5, 15, 35 and 75 seconds.
    projections.wait_for_within(last, Duration::from_secs(100)).await.unwrap_err();
    assert_eq!(log.names_of("eventsource::projection"), [SLOW; 4]);
    log.hears_of(SLOW, "eventsource.projection.name", "Hanging").await;
    assert!(log.says(SLOW, "eventsource.from_position", 1) && log.says(SLOW, "eventsource.to_position", 2));
    hanging.0.close();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
}
