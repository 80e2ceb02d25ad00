//! Leases that nobody needs any more, and a rebuild that has to begin again.

use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::logged::Log;

use super::*;

#[tokio::test]
async fn a_lease_that_is_granted_when_nobody_listens_any_more_is_given_up() {
    let (store, gate) = (MemoryStore::new(), Arc::new(Gate::default()));
    let hooked = Hooked::new(&store, {
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            async move {
                if matches!(asked, Asked::Lease(..)) {
                    gate.pass().await;
                }
            }
        }
    });
    let runner = ProjectionRunner::new(hooked).lease(Duration::from_hours(1));
    let projections = runner.projection(OnlyPlaced::default()).spawn();
    in_time(gate.reached()).await;
    projections.shutdown().await.unwrap();
    let next = Claim::new(Uuid::now_v7(), "the next", Duration::from_mins(1));
    assert_eq!(store.lease_projection(Partition::whole("OnlyPlaced"), next).await.unwrap().taken, None);
}

/// Its reset waits for a permit, and says so.
#[derive(Clone)]
struct Emptied {
    begun: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

#[projection]
impl Emptied {
    #[projection(reset)]
    async fn clear(&self) -> Result<(), ProjectionError> {
        self.begun.add_permits(1);
        self.permits.acquire().await?.forget();
        Ok(())
    }

    async fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// What it had applied before is not in the read model that it empties.
#[tokio::test]
async fn a_rebuild_that_begins_again_is_waited_for_from_the_start() {
    let (log, _guard) = Log::of_thread();
    let (store, gate) = (MemoryStore::new(), Arc::new(Gate::default()));
    let last = place_many(&store, 100).await;
    let hooked = Hooked::new(&store, {
        let (gate, pages) = (Arc::clone(&gate), Arc::new(AtomicUsize::new(0)));
        move |asked| {
            let is_second = matches!(asked, Asked::Feed { .. }) && pages.fetch_add(1, Ordering::SeqCst) == 1;
            let gate = Arc::clone(&gate);
            async move {
                if is_second {
                    gate.pass().await;
                }
            }
        }
    });
    let emptied = Emptied { begun: Arc::new(Semaphore::new(0)), permits: Arc::new(Semaphore::new(1)) };
    let runner = ProjectionRunner::new(hooked).lease(Duration::from_hours(1));
    let projections = runner.projection(emptied.clone()).rebuild().spawn();
    in_time(gate.reached()).await;
    let first_page = Position::new(64);
    in_time(projections.wait_for(first_page)).await.unwrap();
    let (part, another) = (Partition::whole("Emptied"), Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1)));
    store.lease_projection(part, another.clone().by_force()).await.unwrap();
    gate.open();
    in_time(log.hears("eventsource.projection.lease_lost")).await;
    store.lease_projection(part, another.given_up()).await.unwrap();
    in_time(emptied.begun.acquire_many(2)).await.unwrap().forget();
    assert_eq!(projections.checkpoint("Emptied"), Some(Position::START));
    let late = projections.wait_for_within(first_page, Duration::ZERO).await.unwrap_err();
    assert!(matches!(late, ProjectionStopped::Late { .. }), "{late:?}");
    emptied.permits.add_permits(1);
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
}
