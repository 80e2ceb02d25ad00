//! Projections at the edges: slow, failing, panicking, twice, and over stores that fail.

mod ending;
mod leases;
mod piling;
mod preparing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Backend, Projection, ProjectionOptions};
use eventsource_runtime::store::{Filter, Memory, MemoryStore, MemoryTransaction, SqliteStore, SqliteTransaction};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::orders::{Order, OrderCancelled, OrderPlaced};
use eventsource_tests::recorder::{Recorder, gauge};
use eventsource_tests::scratch::Scratch;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{bus, in_time, place, sqlite};

pub(crate) async fn place_many<S: EventStore + SnapshotStore>(store: &S, count: usize) -> Position {
    let bus = bus(store);
    let mut last = Position::START;
    for _ in 0..count {
        last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    }
    last
}

/// Cancellations of one order, in one append.
async fn cancel_many<S: EventStore + SnapshotStore>(store: &S, count: usize) -> Position {
    let orders = Repository::<Order, _>::new(store.clone());
    let events: Vec<_> = (0..count).map(|_| OrderCancelled { reason: "too slow".into() }).collect();
    orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, events).await.unwrap().position
}

async fn first_batch(store: &Faulty) {
    while store.batches() == 0 {
        tokio::task::yield_now().await;
    }
}

fn why(stopped: &ProjectionStopped) -> String {
    let ProjectionStopped::Failed { source, .. } = stopped else { panic!("{stopped}") };
    source.to_string()
}

/// Counts its effects: one for each step that succeeded. A step waits for a permit, and some steps fail.
#[derive(Clone)]
struct Effects {
    done: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    fail_at: u64,
    failures: Arc<AtomicUsize>,
}

impl Effects {
    fn new() -> Self {
        Self::failing(0, 0)
    }

    fn failing(fail_at: u64, failures: usize) -> Self {
        let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { done: Arc::default(), permits, fail_at, failures: Arc::new(AtomicUsize::new(failures)) }
    }

    /// Its first step waits for ever.
    fn stuck() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), ..Self::new() }
    }

    fn count(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

#[projection]
impl Effects {
    async fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        self.permits.acquire().await?.forget();
        let fails = event.position() == self.fail_at
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            return Err(ProjectionError::new("not this time"));
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn cancelled(&self, _: &Recorded<OrderCancelled>) {
        self.done.fetch_add(1, Ordering::SeqCst);
    }
}

/// The gap that the exporter saw last.
fn gap(metrics: &InMemoryMetricExporter) -> Option<u64> {
    gauge(metrics, "eventsource.projection.gap")
}

/// The head was only looked at when a step was tried again, so that the gap of a slow projection was always 0.
#[tokio::test]
async fn the_gap_grows_while_a_handler_is_slow_or_fails() {
    for effects in [Effects::stuck(), Effects::failing(1, usize::MAX)] {
        let (recorder, metrics) = Recorder::measured();
        let seen = recorder.run(async {
            let store = MemoryStore::new();
            let projections = ProjectionRunner::new(store.clone()).projection(effects).max_retries(u32::MAX).spawn();
            // The second time while the step for the first is under way, or waits to be tried again.
            for (count, expected) in [(1, 1), (4, 5)] {
                place_many(&store, count).await;
                while gap(&metrics) != Some(expected) {
                    recorder.flush().await;
                    tokio::task::yield_now().await;
                }
            }
            drop(projections);
        });
        in_time(seen).await;
    }
}

/// One that waits for a lease had a gap of the whole store, which hid the gap of the one that worked.
#[tokio::test]
async fn a_runner_that_stands_by_has_no_gap_of_its_own() {
    let store = MemoryStore::new();
    let working = ProjectionRunner::new(store.clone()).projection(Effects::new()).spawn();
    working.wait_for(place_many(&store, 5).await).await.unwrap();
    let (recorder, metrics) = Recorder::measured();
    let seen = recorder.run(async {
        let waiting = ProjectionRunner::new(store.clone()).projection(Effects::new()).spawn();
        let last = place_many(&store, 5).await;
        working.wait_for(last).await.unwrap();
        waiting.wait_for(last).await.unwrap();
        recorder.flush().await;
        assert_eq!(gap(&metrics), Some(0));
        waiting.shutdown().await.unwrap();
    });
    in_time(seen).await;
    working.shutdown().await.unwrap();
}

/// A batch that failed was begun again from its start, over steps in memory that nobody had undone.
#[tokio::test]
async fn a_failing_batch_in_memory_has_each_effect_once() {
    let store = MemoryStore::new();
    let last = place_many(&store, 50).await;
    let effects = Effects::failing(40, 3);
    let projections = ProjectionRunner::new(store).projection(effects.clone()).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(effects.count(), 50);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_made_again() {
    let store = Faulty::default();
    let effects = Effects::new();
    let mut last = place_many(&store, 20).await;
    // The batch of the past, and its first event again; then an event that is live.
    store.lose_answers(1);
    let projections = ProjectionRunner::new(store.clone()).projection(effects.clone()).spawn();
    projections.wait_for(last).await.unwrap();
    store.lose_answers(2);
    last = place_many(&store, 1).await;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(effects.count(), 21);
}

/// The projection stopped for good, though nothing was wrong with the event.
#[tokio::test]
async fn an_event_that_fails_since_it_was_applied_already_stops_nothing() {
    let store = Faulty::default();
    let effects = Effects::new();
    let projections = ProjectionRunner::new(store.clone()).projection(effects.clone()).max_retries(0).spawn();
    store.blame_answers(1);
    let last = place_many(&store, 1).await;
    projections.wait_for(last).await.unwrap();
    store.overtake(1);
    let last = place_many(&store, 1).await;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(effects.count(), 2);
}

/// Numbers in a table, under one name for all instances.
struct Numbers;

#[projection]
impl Numbers {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE numbers (n INTEGER)")?)
    }

    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("DELETE FROM numbers")?)
    }

    fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("INSERT INTO numbers VALUES (?1)", [event.position().get()])?;
        Ok(())
    }
}

async fn numbers(store: &SqliteStore) -> i64 {
    let count =
        |connection: &rusqlite::Connection| connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0));
    store.reader().read(count).await.unwrap()
}

/// Each runner passed over, in silence, what the other had counted as done. In parts a rebuild gets its leases one by
/// one, and must not begin with some of them while others are live.
#[tokio::test]
async fn a_rebuild_beside_a_live_runner_waits_and_loses_nothing() {
    for parts in [1, 3] {
        let scratch = Scratch::new();
        let store = SqliteStore::open(scratch.file()).await.unwrap();
        let runner = |options: ProjectionOptions| {
            ProjectionRunner::new(store.clone()).projection_with(Numbers, options.partitions(parts)).spawn()
        };
        let mut last = place_many(&store, 9).await;
        let live = runner(ProjectionOptions::default());
        live.wait_for(last).await.unwrap();
        let rebuilt = runner(ProjectionOptions::default().rebuild());
        last = place_many(&store, 9).await;
        live.wait_for(last).await.unwrap();
        assert_eq!(numbers(&store).await, 18);
        // Nobody has applied this one: it stays if nothing is built anew.
        let raw = rusqlite::Connection::open(scratch.file()).unwrap();
        raw.execute("INSERT INTO numbers VALUES (-1)", []).unwrap();
        let (placed, ended) = tokio::join!(place_many(&store, 9), live.shutdown());
        ended.unwrap();
        rebuilt.wait_for(placed).await.unwrap();
        rebuilt.shutdown().await.unwrap();
        assert_eq!(numbers(&store).await, 27, "of {parts}");
    }
}

#[tokio::test]
async fn a_name_that_a_runner_has_twice_is_refused() {
    let store = MemoryStore::new();
    let last = place_many(&store, 2).await;
    let (first, second) = (Effects::new(), Effects::new());
    let projections = ProjectionRunner::new(store).projection(first.clone()).projection(second.clone()).spawn();
    let stopped = projections.wait_for(last).await.unwrap_err();
    assert!(why(&stopped).contains("another projection of the name `Effects`"), "{}", why(&stopped));
    while first.count() < 2 {
        tokio::task::yield_now().await;
    }
    projections.shutdown().await.unwrap_err();
    assert_eq!((first.count(), second.count()), (2, 0));
}

struct Panicking;

impl Projection<Memory> for Panicking {
    fn name(&self) -> &'static str {
        "Panicking"
    }

    fn span_name(&self) -> &'static str {
        "projection.Panicking"
    }

    fn event_types(&self) -> Vec<&'static str> {
        panic!("nobody knows");
    }

    fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a MemoryTransaction) -> <Memory as Backend>::Step<'a> {
        Memory::ready(Ok(()))
    }
}

/// The panic ended the task, and a task that had ended was taken for one that was shut down.
#[tokio::test]
async fn a_panic_in_the_projections_task_comes_out() {
    let store = MemoryStore::new();
    let last = place_many(&store, 1).await;
    let projections = ProjectionRunner::new(store).projection(Panicking).spawn();
    let stopped = projections.wait_for(last).await.unwrap_err();
    assert!(why(&stopped).contains("nobody knows"), "{}", why(&stopped));
    let stopped = projections.shutdown().await.unwrap_err();
    assert!(why(&stopped).contains("nobody knows"), "{}", why(&stopped));
}

/// Whether a projection is live was guessed from the length of a page.
#[tokio::test]
async fn live_is_one_event_a_span_and_the_past_is_a_span_a_batch() {
    let recorder = Recorder::new();
    let effects = Effects::new();
    let run = recorder.run(async {
        let store = MemoryStore::new().enable_tracing(false);
        let mut last = cancel_many(&store, 3).await;
        let runner = ProjectionRunner::new(store.clone()).enable_tracing(true);
        let projections = runner.projection(effects.clone()).spawn();
        projections.wait_for(last).await.unwrap();
        last = cancel_many(&store, 9).await;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
    run.await;
    let trees = recorder.trees();
    let live = " projection.Effects(handler.cancelled)".repeat(9);
    assert_eq!(trees.names(), format!("persist_events projection.Effects persist_events{live}"));
    assert!(trees.render().contains("eventsource.batch.size=3"), "{}", trees.render());
    assert_eq!(effects.count(), 12);
}

#[tokio::test]
async fn a_catch_up_over_events_of_others_goes_in_batches() {
    let store = Faulty::default();
    place_many(&store, 1).await;
    cancel_many(&store, 20_000).await;
    let last = place_many(&store, 2).await;
    let placed = OnlyPlaced::default();
    let projections = ProjectionRunner::new(store.clone()).projection(placed.clone()).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(placed.0.load(Ordering::SeqCst), 3);
    // Pages of at most 8192 events, shown or not.
    assert_eq!(store.batches(), 3);
}

#[derive(Clone, Default)]
struct OnlyPlaced(Arc<AtomicUsize>);

#[projection]
impl OnlyPlaced {
    fn placed(&self, _: &Recorded<OrderPlaced>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_page_of_the_memory_store_is_bounded() {
    let store = MemoryStore::new();
    cancel_many(&store, 10_000).await;
    let nobodys = Filter::all().event_types(["Nobodys"]);
    let page = store.read_all(Position::START, &nobodys, 10).await.unwrap();
    assert_eq!((page.events, page.scanned.get()), (Vec::<StoredEvent>::new(), 8192));
    assert_eq!(store.read_all(page.scanned, &nobodys, 10).await.unwrap().scanned, 10_000);
}

/// Reading was tried again for ever, and nobody was told.
#[tokio::test]
async fn reading_that_fails_is_tried_again_for_as_long_as_the_runner_has_patience() {
    let store = Faulty::default();
    let last = place_many(&store, 1).await;
    store.fail_reads(3);
    let runner = ProjectionRunner::new(store.clone()).projection(Effects::new()).max_retries(0);
    let projections = runner.patience(Duration::from_secs(20)).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    store.fail_reads(usize::MAX);
    let runner = ProjectionRunner::new(store.clone()).projection(Effects::new()).max_retries(u32::MAX);
    let projections = runner.patience(Duration::ZERO).spawn();
    let stopped = projections.wait_for(place_many(&store, 1).await).await.unwrap_err();
    assert!(why(&stopped).contains("read the feed"), "{}", why(&stopped));
}

#[tokio::test]
async fn a_step_that_was_tried_again_says_how_often() {
    let recorder = Recorder::new();
    let run = recorder.run(async {
        let store = MemoryStore::new().enable_tracing(false);
        let effects = Effects::failing(1, 2);
        let runner = ProjectionRunner::new(store.clone()).projection(effects).enable_tracing(true);
        let last = place_many(&store, 1).await;
        let projections = runner.spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
    run.await;
    let rendered = recorder.trees().render();
    // The command's, those of the batch and of its event alone, and the second attempt's.
    assert_eq!(rendered.matches("eventsource.retry.count=0").count(), 3, "{rendered}");
    assert_eq!(rendered.matches("eventsource.retry.count=1").count(), 1, "{rendered}");
}
