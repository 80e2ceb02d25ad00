//! How projections end: with their store, and within the time that they are given.

use eventsource_runtime::projection::{Partition, ProjectionOptions};
use eventsource_tests::hooked::{Asked, Hooked};
use eventsource_tests::logged::Log;
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_closed_store_ends_a_projection() {
    let store = sqlite().await;
    let last = place_many(&store, 1).await;
    let projections = ProjectionRunner::new(store.clone()).projection(Numbers).max_retries(u32::MAX).spawn();
    projections.wait_for(last).await.unwrap();
    store.close().await;
    let stopped = in_time(projections.wait_for(Position::new(last.get() + 1))).await.unwrap_err();
    assert!(why(&stopped).contains("closed"), "{}", why(&stopped));
    assert!(stopped.is_permanent(), "on the same store it stops again");
}

#[tokio::test]
async fn a_store_that_closes_during_the_shut_down_is_a_clean_end() {
    let store = Faulty::default();
    let effects = Effects::stuck();
    let projections = ProjectionRunner::new(store.clone()).projection(effects.clone()).spawn();
    place_many(&store, 1).await;
    in_time(first_batch(&store)).await;
    let close = async {
        store.close();
        effects.permits.add_permits(1);
    };
    let (ended, ()) = tokio::join!(projections.shutdown(), close);
    ended.unwrap();
}

#[tokio::test]
async fn a_step_that_does_not_end_is_aborted_when_the_shut_down_has_no_more_time() {
    let store = Faulty::default();
    let projections = ProjectionRunner::new(store.clone()).projection(Effects::stuck()).spawn();
    place_many(&store, 1).await;
    in_time(first_batch(&store)).await;
    let stopped = in_time(projections.shutdown_within(Duration::from_millis(1))).await.unwrap_err();
    let ProjectionStopped::Aborted { projection, checkpoint, .. } = stopped else { panic!("{stopped}") };
    assert_eq!((projection, checkpoint), ("Effects", Position::START));
}

/// The rest of its page is left to the next start, like what comes behind it.
#[tokio::test]
async fn one_that_is_live_ends_with_the_event_that_it_is_at() {
    let (store, effects) = (Faulty::default(), Effects::stuck());
    let projections = ProjectionRunner::new(store.clone()).projection(effects.clone()).spawn();
    projections.wait_for(Position::START).await.unwrap();
    let orders = Repository::<Order, _>::new(store.clone());
    let placed = || OrderPlaced { customer: "Ada".into(), lines: Vec::new(), shipping_address: String::new() };
    orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, vec![placed(), placed(), placed()]).await.unwrap();
    in_time(first_batch(&store)).await;
    let (ended, ()) = tokio::join!(projections.shutdown(), async { effects.permits.add_permits(3) });
    ended.unwrap();
    assert_eq!(effects.count(), 1);
}

/// It ran out by the machine's clock, though the pauses in between are of the runtime's: a test that stops that one
/// waited as long.
#[tokio::test(start_paused = true)]
async fn patience_runs_out_by_the_clock_of_the_runtime() {
    let store = Faulty::default();
    store.fail_reads(usize::MAX);
    let runner = ProjectionRunner::new(store).projection(Effects::new()).patience(Duration::from_hours(1));
    let projections = runner.spawn();
    let stopped = tokio::time::timeout(Duration::from_hours(2), projections.stopped()).await.expect("it gives up");
    assert!(why(&stopped).contains("read the feed"), "{}", why(&stopped));
}

/// The first question, which nobody had asked for twice, was waited for however long the answer took.
#[tokio::test(start_paused = true)]
async fn a_projection_ends_that_does_not_know_yet_where_the_feed_does() {
    let store = MemoryStore::new();
    let silent = Hooked::new(&store, |asked| async move {
        if asked == Asked::Head {
            std::future::pending::<()>().await;
        }
    });
    let projections = ProjectionRunner::new(silent).projection(Effects::new()).spawn();
    in_time(projections.shutdown()).await.unwrap();
}

/// Its gap vanished with it, and nothing else told of it: nobody saw that it was dead.
#[tokio::test]
async fn one_that_has_failed_is_told_until_its_runner_is_shut_down() {
    let (log, _guard) = Log::of_thread();
    let (recorder, metrics) = Recorder::measured();
    let running = async || {
        recorder.flush().await;
        gauge(&metrics, "eventsource.projection.running")
    };
    recorder
        .run(async {
            let store = MemoryStore::new();
            let runner = ProjectionRunner::new(store.clone()).max_retries(0);
            let projections = runner.projection(Effects::failing(2, usize::MAX)).spawn();
            projections.wait_for(place_many(&store, 1).await).await.unwrap();
            assert_eq!(running().await, Some(1));
            place_many(&store, 1).await;
            projections.stopped().await;
            assert_eq!(running().await, Some(0));
            assert!(log.says("eventsource.projection.stopped", "eventsource.projection.checkpoint", 1));
            assert!(log.says("eventsource.projection.stopped", "eventsource.position", 2));
            projections.shutdown().await.unwrap_err();
            assert_eq!(running().await, None);
        })
        .await;
}

/// Nothing but placements.
struct Placements;

#[projection]
impl Placements {
    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// The page to come was waited for beside a batch, and at the end what had been passed over was looked at again: both
/// until the time was up.
#[tokio::test(start_paused = true)]
async fn a_feed_that_no_longer_answers_holds_up_no_end() {
    let (store, hangs) = (MemoryStore::new(), Arc::new(Notify::new()));
    let left = Arc::new(AtomicUsize::new(1));
    let silent = Hooked::new(&store, {
        let (left, hangs) = (Arc::clone(&left), Arc::clone(&hangs));
        move |asked| {
            let is_read = matches!(asked, Asked::Feed { .. });
            let next = |left: usize| left.checked_sub(1);
            let hangs = (is_read && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_err())
                .then(|| Arc::clone(&hangs));
            async move {
                if let Some(hangs) = hangs {
                    hangs.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        }
    });
    let spawned = || ProjectionRunner::new(silent.clone()).projection(Placements).spawn();
    place_many(&store, 1).await;
    let ahead = spawned();
    in_time(hangs.notified()).await;
    in_time(ahead.shutdown()).await.unwrap();

    left.store(usize::MAX, Ordering::SeqCst);
    let behind = spawned();
    in_time(behind.wait_for(cancel_many(&store, 1).await)).await.unwrap();
    left.store(0, Ordering::SeqCst);
    in_time(behind.shutdown()).await.unwrap();
    // It has been asked.
    in_time(hangs.notified()).await;
}

/// The page to come was waited for first, beside which the step ran: nobody was told that it had failed.
#[tokio::test]
async fn a_failure_is_told_though_the_feed_no_longer_answers() {
    let (store, reads) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let silent = Hooked::new(&store, {
        let reads = Arc::clone(&reads);
        move |asked| {
            let is_first = !matches!(asked, Asked::Feed { .. }) || reads.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if !is_first {
                    std::future::pending::<()>().await;
                }
            }
        }
    });
    let last = place_many(&store, 1).await;
    let failing = Effects::failing(1, usize::MAX);
    let projections = ProjectionRunner::new(silent).projection(failing).max_retries(1).spawn();
    let stopped = in_time(projections.stopped()).await;
    assert!(why(&stopped).contains("not this time"), "{}", why(&stopped));
    in_time(projections.wait_for(last)).await.unwrap_err();
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

/// One part fails, and the other, which stumbles once, when it may.
#[derive(Clone, Default)]
struct Uneven {
    may_stumble: Arc<Notify>,
    stumbled: Arc<AtomicBool>,
    resets: Arc<AtomicUsize>,
}

#[projection]
impl Uneven {
    #[projection(reset)]
    async fn clear(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    async fn cancelled(&self, event: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        if Partition::of("Uneven", event.stream_id(), 2).index == 0 {
            return Err(ProjectionError::new("this part fails"));
        }
        if self.stumbled.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.may_stumble.notified().await;
        Err(ProjectionError::new("not this time"))
    }
}

/// All parts began again when one lost its lease, also the one that had failed: it failed again, and its failure was
/// gone meanwhile, while the gauge told of it for good.
#[tokio::test]
async fn a_rebuild_of_which_a_part_has_failed_does_not_begin_again() {
    let (log, _guard) = Log::of_thread();
    let (store, uneven) = (Faulty::default(), Uneven::default());
    // Of many streams each part has some.
    for _ in 0..40 {
        cancel_many(&store, 1).await;
    }
    let options = ProjectionOptions::default().partitions(2).rebuild();
    let runner = ProjectionRunner::new(store.clone()).max_retries(0);
    let projections = runner.projection_with(uneven.clone(), options).spawn();
    let stopped = in_time(projections.stopped()).await;
    assert!(why(&stopped).contains("this part fails"), "{}", why(&stopped));
    store.overtake(1);
    uneven.may_stumble.notify_one();
    in_time(log.hears("eventsource.projection.lease_lost")).await;
    let failed = in_time(projections.shutdown()).await.unwrap_err();
    assert!(why(&failed).contains("this part fails"), "{}", why(&failed));
    assert_eq!(uneven.resets.load(Ordering::SeqCst), 1);
}
