//! Set-ups and resets.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

use eventsource_runtime::projection::{Batch, Claim, Partition, ProjectionOptions, ProjectionStore};
use eventsource_runtime::telemetry::Scope;
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::logged::Log;
use tokio::sync::Notify;

use super::*;

/// Short, so that renewals are soon seen, and longer than a busy machine holds up a task.
const LEASE: Duration = Duration::from_secs(1);

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
        assert!(prepared.load(Ordering::SeqCst), "without events too the tables are there then");
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
    let runner = ProjectionRunner::new(store.clone()).lease(LEASE);
    let projections = runner.projection_with(large.clone(), options).rebuild().spawn();
    in_time(large.begun.notified()).await;
    for part in Partition::all("Large", 2) {
        renewed(&store, part, 3).await;
    }
    large.ends.notify_one();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(large.resets.load(Ordering::SeqCst), 1);
}

/// Waits until somebody has renewed the lease of a part so often. Who looks takes it for no time at all.
async fn renewed(store: &MemoryStore, part: Partition, times: usize) {
    let (mut renewals, mut before) = (0, Duration::MAX);
    while renewals < times {
        let asked = Claim::new(Uuid::nil(), "looks", Duration::ZERO);
        let lease = in_time(store.lease_projection(part, asked)).await.unwrap();
        let left = lease.taken.map_or(Duration::ZERO, |taken| taken.left);
        renewals += usize::from(left > before);
        before = left;
        tokio::task::yield_now().await;
    }
}

/// Its reset takes as long as its leases hold: they run out in it.
struct Lengthy {
    store: MemoryStore,
    held: Arc<Mutex<Vec<(Partition, Uuid)>>>,
}

#[projection]
impl Lengthy {
    #[projection(reset)]
    async fn clear(&self) -> Result<(), ProjectionError> {
        let held = self.held.lock().unwrap().clone();
        for (part, token) in held {
            let moment = Claim::new(token, "itself", Duration::from_nanos(1));
            self.store.lease_projection(part, moment).await?;
        }
        Ok(())
    }

    async fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

/// Another runner could have taken them before the first batch, and the read model was emptied in vain.
#[tokio::test]
async fn the_leases_of_all_parts_are_renewed_when_a_read_model_was_emptied() {
    const TERM: Duration = Duration::from_hours(1);
    let store = MemoryStore::new();
    let (held, left) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
    let last = place_many(&store, 1).await;
    let hooked = Hooked::new(&store, {
        let (store, held, left) = (store.clone(), Arc::clone(&held), Arc::clone(&left));
        move |asked: Asked| {
            let (store, held, left) = (store.clone(), Arc::clone(&held), Arc::clone(&left));
            async move {
                match asked {
                    Asked::Lease(part, token) => held.lock().unwrap().push((part, token)),
                    Asked::Feed { .. } => {
                        for part in Partition::all("Lengthy", 2) {
                            let looks = Claim::new(Uuid::nil(), "looks", Duration::ZERO);
                            let taken = store.lease_projection(part, looks).await.unwrap().taken;
                            left.lock().unwrap().push(taken.map_or(Duration::ZERO, |taken| taken.left));
                        }
                    }
                    _ => {}
                }
            }
        }
    });
    let options = ProjectionOptions::default().partitions(2);
    let runner = ProjectionRunner::new(hooked).lease(TERM);
    let projections = runner.projection_with(Lengthy { store, held }, options).rebuild().spawn();
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
    // When the feed was read for the first time.
    let left = left.lock().unwrap();
    assert!(left.len() >= 2 && left[..2].iter().all(|left| *left > TERM / 2), "{left:?}");
}

/// The first was kept meanwhile, and as the holder of the second may run for ever, nobody applied the events of the
/// first.
#[tokio::test]
async fn no_lease_is_kept_while_that_of_another_part_is_waited_for() {
    let (store, large) = (MemoryStore::new(), Large::default());
    let last = place_many(&store, 1).await;
    let options = ProjectionOptions::default().partitions(2);
    let opened = ProjectionRunner::new(store.clone()).projection_with(large.clone(), options.clone()).spawn();
    opened.wait_for(last).await.unwrap();
    opened.shutdown().await.unwrap();
    let [first, second] = [0, 1].map(|part| Partition::all("Large", 2).nth(part).unwrap());
    let others = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    assert!(store.lease_projection(second, others.clone()).await.unwrap().taken.is_none());

    let waits = Arc::new(Notify::new());
    let hooked = Hooked::new(&store, {
        let waits = Arc::clone(&waits);
        move |asked| {
            if matches!(asked, Asked::Lease(part, _) if part == second) {
                waits.notify_one();
            }
            std::future::ready(())
        }
    });
    let runner = ProjectionRunner::new(hooked).lease(Duration::from_hours(1));
    let projections = runner.projection_with(large.clone(), options).rebuild().spawn();
    in_time(waits.notified()).await;
    let thirds = Claim::new(Uuid::now_v7(), "a third", Duration::from_mins(1));
    in_time(taken(&store, first, &thirds)).await;
    // It begins again with the first, which is not free now, and empties nothing.
    assert_eq!(large.resets.load(Ordering::SeqCst), 0);
    for (part, claim) in [(first, thirds), (second, others)] {
        store.lease_projection(part, claim.given_up()).await.unwrap();
    }
    large.ends.notify_one();
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(large.resets.load(Ordering::SeqCst), 1);
}

/// Takes a lease as soon as it is free.
async fn taken(store: &MemoryStore, part: Partition, claim: &Claim) {
    while store.lease_projection(part, claim.clone()).await.unwrap().taken.is_some() {
        tokio::task::yield_now().await;
    }
}

/// They were kept until they expired, though nobody was there any more who would renew them.
#[tokio::test]
async fn a_rebuild_that_empties_nothing_gives_its_leases_up() {
    let (store, large) = (MemoryStore::new(), Large::default());
    let options = ProjectionOptions::default().partitions(2);
    let runner = || ProjectionRunner::new(store.clone()).lease(Duration::from_hours(1)).max_retries(0).rebuild();
    let cannot = runner().projection_with(OnlyPlaced::default(), options.clone()).spawn();
    let stopped = in_time(cannot.stopped()).await;
    assert!(why(&stopped).contains("cannot be rebuilt"), "{}", why(&stopped));
    let begun = runner().projection_with(large.clone(), options).spawn();
    in_time(large.begun.notified()).await;
    begun.shutdown().await.unwrap();
    for part in ["OnlyPlaced", "Large"].into_iter().flat_map(|name| Partition::all(name, 2)) {
        let next = Claim::new(Uuid::now_v7(), "the next", Duration::from_mins(1));
        assert_eq!(store.lease_projection(part, next).await.unwrap().taken, None, "{part}");
    }
}

/// A runner that was held up, and whose lease was taken and given up again, begins again.
#[tokio::test]
async fn a_rebuild_that_loses_a_lease_begins_again() {
    let (store, large) = (Faulty::default(), Large::default());
    let last = place_many(&store, 1).await;
    store.lose_leases(2);
    large.ends.notify_one();
    let projections = ProjectionRunner::new(store).projection(large.clone()).rebuild().spawn();
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(large.resets.load(Ordering::SeqCst), 1);
}

/// What it has seen since it was emptied.
#[derive(Clone, Default)]
struct Anew {
    seen: Arc<Mutex<Vec<u64>>>,
    resets: Arc<AtomicUsize>,
}

#[projection]
impl Anew {
    #[projection(reset)]
    fn clear(&self) {
        self.seen.lock().unwrap().clear();
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    fn placed(&self, event: &Recorded<OrderPlaced>) {
        self.seen.lock().unwrap().push(event.position().get());
    }
}

/// Nobody was idle where each read found something new, and the lease was renewed when a thousand events had passed.
#[tokio::test]
async fn a_lease_is_kept_while_others_events_pass_without_a_pause() {
    let store = MemoryStore::new();
    let busy = Hooked::new(&store, {
        let store = store.clone();
        move |asked| {
            let store = store.clone();
            async move {
                if let Asked::Feed { .. } = asked {
                    // A store that is far away, and others who append all the time.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    cancel_many(&store, 1).await;
                }
            }
        }
    });
    let projections = ProjectionRunner::new(busy).projection(Anew::default()).lease(LEASE).spawn();
    in_time(projections.wait_for(Position::START)).await.unwrap();
    let part = Partition::all("Anew", 1).next().unwrap();
    let (mut checkpoints, mut looked) = (BTreeSet::new(), None::<Instant>);
    let standing_by = async {
        while checkpoints.len() < 5 {
            let asked = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
            let lease = store.lease_projection(part, asked.clone()).await.unwrap();
            checkpoints.insert(lease.checkpoint);
            let last = std::mem::replace(&mut looked, lease.taken.map(|_| Instant::now()));
            if looked.is_none() {
                // While nobody ran here, nobody could renew it: all begins again when the runner has it again.
                assert!(last.is_none_or(|last| last.elapsed() > LEASE / 4), "it has expired at {}", lease.checkpoint);
                checkpoints.clear();
                store.lease_projection(part, asked.given_up()).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(standing_by).await;
    projections.shutdown().await.unwrap();
}

/// It was left to whoever had taken the lease, whose program may be an older one, and nobody was told.
#[tokio::test]
async fn a_rebuild_that_loses_a_lease_in_the_middle_begins_again() {
    for count in [1, 2] {
        let (store, anew) = (MemoryStore::new(), Anew::default());
        let last = place_many(&store, 6).await;
        let (held, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let hooked = Hooked::new(&store, {
            let (held, gate) = (Arc::clone(&held), Arc::clone(&gate));
            move |asked| {
                let (held, gate) = (Arc::clone(&held), Arc::clone(&gate));
                async move {
                    if let Asked::Feed { .. } = asked {
                        held.fetch_add(1, Ordering::SeqCst);
                        drop(gate.acquire().await);
                    }
                }
            }
        });
        let options = ProjectionOptions::default().partitions(count);
        let projections = ProjectionRunner::new(hooked).projection_with(anew.clone(), options).rebuild().spawn();
        in_time(reaches(&held, count as usize)).await;
        for part in Partition::all("Anew", count) {
            go_through(&store, &anew, part, last).await;
        }
        gate.add_permits(1);
        in_time(reaches(&anew.resets, 2)).await;
        in_time(projections.wait_for(last)).await.unwrap();
        projections.shutdown().await.unwrap();
        let mut seen = anew.seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6], "each event once, by this program");
    }
}

/// Another runner takes a part's lease, applies the rest, and ends.
async fn go_through(store: &MemoryStore, anew: &Anew, part: Partition, last: Position) {
    let other = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    store.lease_projection(part, other.clone().by_force()).await.unwrap();
    let rest = Batch::new(part, other.clone(), Position::START, last);
    store.apply_batch(Arc::new(anew.clone()), rest, Scope::current()).await.unwrap();
    store.lease_projection(part, other.given_up()).await.unwrap();
}

/// Where the feed had ended before it waited counted as rebuilt, and what others did with what came since was kept.
#[tokio::test]
async fn a_rebuild_that_has_waited_and_loses_its_lease_in_the_middle_begins_again() {
    let (store, anew, part) = (MemoryStore::new(), Anew::default(), Partition::whole("Anew"));
    store.open_projection(Arc::new(anew.clone()), 1, Position::START).await.unwrap();
    let holder = Claim::new(Uuid::now_v7(), "the holder", Duration::from_mins(1));
    store.lease_projection(part, holder.clone()).await.unwrap();
    let (waits, gate) = (Arc::new(Notify::new()), Arc::new(Gate::default()));
    let hooked = Hooked::new(&store, {
        let (waits, gate) = (Arc::clone(&waits), Arc::clone(&gate));
        move |asked| {
            let (waits, gate) = (Arc::clone(&waits), Arc::clone(&gate));
            async move {
                match asked {
                    Asked::Lease(..) => waits.notify_one(),
                    Asked::Feed { .. } => gate.pass().await,
                    _ => {}
                }
            }
        }
    });
    let projections = ProjectionRunner::new(hooked).projection(anew.clone()).rebuild().spawn();
    in_time(waits.notified()).await;
    let last = place_many(&store, 6).await;
    store.lease_projection(part, holder.given_up()).await.unwrap();
    in_time(gate.reached()).await;
    go_through(&store, &anew, part, last).await;
    gate.open();
    in_time(reaches(&anew.resets, 2)).await;
    in_time(projections.wait_for(last)).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(*anew.seen.lock().unwrap(), [1, 2, 3, 4, 5, 6], "each event once, by this program");
}

/// Nobody was told that it is still due, days after another had rebuilt the read model. What that other applies is no
/// progress of it: who starts a rebuild and waits wants it rebuilt.
#[tokio::test]
async fn a_rebuild_that_waits_warns_and_is_waited_for() {
    let (log, _guard) = Log::of_thread();
    let (store, anew) = (MemoryStore::new(), Anew::default());
    let last = place_many(&store, 3).await;
    let runner = || ProjectionRunner::new(store.clone()).projection(anew.clone());
    let live = runner().spawn();
    in_time(live.wait_for(last)).await.unwrap();
    let rebuilt = runner().rebuild().spawn();
    in_time(log.hears("eventsource.projection.rebuild_waits")).await;
    let early = rebuilt.wait_for_within(last, Duration::ZERO).await.unwrap_err();
    assert_eq!((early.error_type(), early.checkpoint()), ("timeout", Position::START));
    assert_eq!(anew.resets.load(Ordering::SeqCst), 0);
    live.shutdown().await.unwrap();
    in_time(rebuilt.wait_for(last)).await.unwrap();
    rebuilt.shutdown().await.unwrap();
    assert_eq!((anew.resets.load(Ordering::SeqCst), anew.seen.lock().unwrap().len()), (1, 3));
}

async fn reaches(count: &AtomicUsize, wanted: usize) {
    while count.load(Ordering::SeqCst) < wanted {
        tokio::task::yield_now().await;
    }
}
