//! Set-ups and resets.

use eventsource_runtime::projection::{Claim, Partition, ProjectionOptions, ProjectionStore};
use tokio::sync::Notify;

use super::*;

struct Preparing(Arc<AtomicBool>);

#[projection]
impl Preparing {
    #[projection(setup)]
    #[traced]
    fn create(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    #[projection(reset)]
    #[traced]
    fn clear(&self) {}

    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// They ran outside of every span, so that a traced set-up was a trace of its own.
#[tokio::test]
async fn setting_up_and_resetting_leave_no_stray_spans() {
    let recorder = Recorder::new();
    let prepared = Arc::new(AtomicBool::new(false));
    let run = recorder.run(async {
        let runner = ProjectionRunner::new(sqlite().await).projection(Preparing(Arc::clone(&prepared))).rebuild();
        let projections = runner.spawn();
        projections.wait_for(Position::START).await.unwrap();
        projections.shutdown().await.unwrap();
    });
    run.await;
    assert_eq!(recorder.trees().names(), "");
}

/// Says that its reset has begun, and waits in it.
#[derive(Clone, Default)]
struct Large {
    begun: Arc<Notify>,
    ends: Arc<Notify>,
    resets: Arc<AtomicUsize>,
}

#[projection]
impl Large {
    #[projection(reset)]
    async fn clear(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
        self.begun.notify_one();
        self.ends.notified().await;
    }

    async fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// It was not renewed, so that others took over while a large read model was being emptied.
#[tokio::test]
async fn the_leases_of_all_parts_are_kept_while_a_read_model_is_emptied() {
    let (store, large) = (MemoryStore::new(), Large::default());
    let last = place_many(&store, 1).await;
    let options = ProjectionOptions::default().partitions(2);
    let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_millis(60));
    let projections = runner.projection_with(large.clone(), options).rebuild().spawn();
    in_time(large.begun.notified()).await;
    for part in Partition::all("Large", 2) {
        let (mut renewals, mut before) = (0, Duration::MAX);
        while renewals < 5 {
            let asked = Claim::new(Uuid::now_v7(), "another", Duration::from_secs(1));
            let lease = in_time(store.lease_projection(part, asked)).await.unwrap();
            let left = lease.taken.expect("nobody else gets it").left;
            renewals += usize::from(left > before);
            before = left;
            tokio::task::yield_now().await;
        }
    }
    large.ends.notify_one();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(large.resets.load(Ordering::SeqCst), 1);
}
