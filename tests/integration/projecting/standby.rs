//! A runner in trouble, while another one waits for its lease.

use std::sync::Mutex;

use eventsource_runtime::projection::Batch;
use eventsource_runtime::store::Filter;
use eventsource_runtime::telemetry::Scope;
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::{Recorder, gauge};
use eventsource_tests::scratch::Scratch;
use tokio::sync::mpsc;

use super::anew::open;
use super::*;
use crate::in_time;

/// Longer than the short pauses between attempts, and shorter than the long ones.
const TERM: Duration = Duration::from_millis(600);

/// The lease was renewed in long attempts, not between short ones: the other runner took it in a pause, began to try
/// anew, lost it in the same way, and no policy ever acted.
#[tokio::test]
async fn pauses_longer_than_a_lease_lose_it_to_nobody() {
    for _ in 0..5 {
        if let Some(attempts) = attempts_under_one_lease().await {
            assert_eq!(attempts, 6, "one attempt and five more");
            return;
        }
    }
    panic!("the lease is lost each time");
}

/// How often an event that fails is tried before it is skipped, where another runner waits for the lease. `None` if it
/// was lost: a machine that stands still for longer than a lease loses it for its runner, and the other begins anew.
async fn attempts_under_one_lease() -> Option<usize> {
    let (log, _guard) = Log::of_thread();
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
    let settled = tokio::time::timeout(Duration::from_mins(2), runners[0].wait_for_within(after, Duration::MAX)).await;
    assert!(settled.is_ok(), "{} attempts and no end", usize::MAX - left.load(Ordering::SeqCst));
    assert_eq!(seen(&stores[0]).await, numbers(&[before, after]));
    let is_lost = log.names_of("eventsource::projection").contains(&"eventsource.projection.lease_lost".to_owned());
    let attempts = usize::MAX - left.load(Ordering::SeqCst);
    for runner in runners {
        runner.shutdown().await.unwrap();
    }
    (!is_lost).then_some(attempts)
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

/// The positions of what it has seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

#[projection]
impl Seen {
    fn cancelled(&self, event: &Recorded<OrderCancelled>) {
        self.0.lock().unwrap().push(event.position().get());
    }
}

/// Its holder told what it had passed over when it renewed its lease, which may be minutes later.
#[tokio::test]
async fn who_stands_by_is_soon_told_of_events_that_are_none_of_the_projections_however_long_the_lease() {
    let (store, stream) = (MemoryStore::new(), a_stream());
    let spawn = || {
        let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_hours(1));
        runner.projection(Seen::default()).spawn()
    };
    let first = cancel(&store, &stream, REASON, 1).await;
    let holder = spawn();
    holder.wait_for(first).await.unwrap();
    let stands_by = spawn();
    stands_by.wait_for(first).await.unwrap();
    let other = NewEvent { event_type: "OrderPlaced", ..cancellation(REASON, 1) };
    let passed_over = store.append(&stream, ExpectedVersion::Any, vec![other]).await.unwrap().position;
    stands_by.wait_for_within(passed_over, Duration::from_secs(20)).await.unwrap();
    for runner in [holder, stands_by] {
        runner.shutdown().await.unwrap();
    }
}

/// It was logged as an error too, of a runner that is well, whenever a read model that was built aside replaced its own.
#[tokio::test]
async fn a_lease_that_another_takes_is_logged_as_that_and_not_as_a_failure() {
    let (log, _guard) = Log::of_thread();
    let (store, stream) = (MemoryStore::new(), a_stream());
    let projections = ProjectionRunner::new(store.clone()).projection(Seen::default()).spawn();
    let first = cancel(&store, &stream, REASON, 1).await;
    projections.wait_for(first).await.unwrap();
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_millis(1)).by_force();
    store.lease_projection(Partition::whole("Seen"), claim).await.unwrap();
    let last = cancel(&store, &stream, REASON, 1).await;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let logged = log.names_of("eventsource::projection");
    let is_logged = |name: &str| logged.iter().any(|logged| logged == name);
    assert!(is_logged("eventsource.projection.lease_lost"), "{logged:?}");
    assert!(!is_logged("eventsource.span.failed"), "{logged:?}");
}

/// While it was held up, another runner took the lease, went on and gave it up. The renewal got it back, and the
/// checkpoint was not where it had been left: the projection stopped for good.
#[tokio::test]
async fn a_lease_that_comes_back_goes_on_where_the_other_runner_left_off() {
    let (store, stream, seen) = (MemoryStore::new(), a_stream(), Seen::default());
    let first = cancel(&store, &stream, REASON, 1).await;
    let (gate, pages, (tell, mut leases)) =
        (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)), mpsc::unbounded_channel());
    let (held, append, stopped) = (Arc::clone(&gate), store.clone(), stream.clone());
    let hooked = Hooked::new(&store, move |asked| {
        let (held, append, stopped) = (Arc::clone(&held), append.clone(), stopped.clone());
        let page = matches!(asked, Asked::Feed { found: true, .. }).then(|| pages.fetch_add(1, Ordering::SeqCst));
        if let Asked::Lease(_, token) = asked {
            // Nobody may ask any more.
            let _ = tell.send(token);
        }
        async move {
            match page {
                Some(0) => drop(cancel(&append, &stopped, REASON, 1).await),
                Some(1) => held.pass().await,
                _ => (),
            }
        }
    });
    let runner = ProjectionRunner::new(hooked).lease(Duration::from_millis(30)).projection(seen.clone()).spawn();
    // It has applied the first event, and reads the second one.
    gate.reached().await;
    let part = Partition::whole("Seen");
    let other = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    store.lease_projection(part, other.clone().by_force()).await.unwrap();
    let page = store.read_all(first, &Filter::all(), 10).await.unwrap();
    let batch = Batch::new(part, other.clone(), first, page.scanned).events(page.events);
    store.apply_batch(Arc::new(seen.clone()), batch, Scope::current()).await.unwrap();
    store.lease_projection(part, other.given_up()).await.unwrap();
    while leases.try_recv().is_ok() {}
    // The second of them was asked for when the lease was free.
    assert_eq!(leases.recv().await, leases.recv().await);
    gate.open();
    let last = cancel(&store, &stream, REASON, 1).await;
    tokio::time::timeout(Duration::from_secs(20), runner.wait_for(last)).await.expect("in time").unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [1, 2, 3], "each event once, in order");
    runner.shutdown().await.unwrap();
}

/// It told the gap that there was when it looked last, which was none: the read model stood still, and no alert came.
#[tokio::test]
async fn who_stands_by_tells_how_far_a_holder_that_does_nothing_is_behind() {
    let (store, stream) = (MemoryStore::new(), a_stream());
    store.open_projection(Arc::new(Seen::default()), 1, Position::START).await.unwrap();
    let hangs = Claim::new(Uuid::now_v7(), "another", Duration::from_hours(1));
    store.lease_projection(Partition::whole("Seen"), hangs).await.unwrap();
    let (recorder, metrics) = Recorder::measured();
    let told = recorder.run(async {
        let stands_by = ProjectionRunner::new(store.clone()).projection(Seen::default()).spawn();
        for behind in 1..=3 {
            cancel(&store, &stream, REASON, 1).await;
            while gauge(&metrics, "eventsource.projection.gap") != Some(behind) {
                recorder.flush().await;
                tokio::task::yield_now().await;
            }
        }
        stands_by.shutdown().await.unwrap();
    });
    in_time(told).await;
}

#[tokio::test]
async fn a_lease_that_another_takes_is_noticed_while_nothing_happens() {
    let (log, _guard) = Log::of_thread();
    let (store, seen) = (MemoryStore::new(), Seen::default());
    let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_millis(30)).projection(seen.clone());
    let projections = runner.spawn();
    projections.wait_for(cancel(&store, &a_stream(), REASON, 1).await).await.unwrap();
    let another = Claim::new(Uuid::now_v7(), "another", Duration::from_hours(1));
    store.lease_projection(Partition::whole("Seen"), another.by_force()).await.unwrap();
    in_time(log.hears("eventsource.projection.lease_lost")).await;
    in_time(log.hears("eventsource.projection.waits")).await;
    projections.shutdown().await.unwrap();
}
