//! Stores of which one always has something to write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{Projection, ProjectionRunner, StepResult};
use eventsource_runtime::store::{EventStore, ExpectedVersion, Sqlite, SqliteTransaction};

use super::{a_file, a_stream, events, open};

/// How many events there are to catch up with.
const PAST: usize = 500;
/// How many of them the first batch has.
const BATCH: usize = 64;
/// How many of those are slow.
const SLOW: u64 = 40;
/// How many appends are made while that one is applied.
const APPENDS_BESIDE: usize = 3;
/// How many appends the other store makes meanwhile.
const APPENDS: usize = 20;
/// How long each of the busy store's steps keeps the file's lock.
const STEP: Duration = Duration::from_millis(20);

/// Counts its events, and takes its time.
struct Slow(&'static str, Arc<AtomicUsize>);

impl Projection<Sqlite> for Slow {
    fn name(&self) -> &'static str {
        self.0
    }

    fn span_name(&self) -> &'static str {
        "projection.Slow"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn apply(&self, _: &StoredEvent, _: &SqliteTransaction<'_>) -> StepResult {
        let begun = Instant::now();
        while begun.elapsed() < STEP {
            std::hint::spin_loop();
        }
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Each append waited for seconds, up to an error: SQLite looks for the lock every 100 ms, and it was free for
/// microseconds at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_catches_up_lets_the_others_of_its_file_write() {
    let file = a_file();
    let (busy, other) = (open(&file).await, open(&file).await);
    busy.append(&a_stream(), ExpectedVersion::NoStream, events(PAST)).await.unwrap();
    let applied = Arc::new(AtomicUsize::new(0));
    let slow = |name| Slow(name, Arc::clone(&applied));
    let projections = ProjectionRunner::new(busy).projection(slow("One")).projection(slow("Other")).spawn();
    while applied.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..APPENDS {
        other.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        assert!(applied.load(Ordering::Relaxed) < 2 * PAST, "the others waited until the end");
    }
    projections.shutdown().await.unwrap();
}

/// Notes the positions of its events, of which the first take their time.
struct Noting(Arc<Mutex<Vec<u64>>>);

impl Projection<Sqlite> for Noting {
    fn name(&self) -> &'static str {
        "Noting"
    }

    fn span_name(&self) -> &'static str {
        "projection.Noting"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn apply(&self, event: &StoredEvent, _: &SqliteTransaction<'_>) -> StepResult {
        let begun = Instant::now();
        while event.position.get() <= SLOW && begun.elapsed() < STEP {
            std::hint::spin_loop();
        }
        self.0.lock().unwrap().push(event.position.get());
        Ok(())
    }
}

/// They waited for the whole batch, whose size was chosen before anybody knew how long its steps take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_takes_long_lets_commands_in_and_applies_each_event_once() {
    let store = open(&a_file()).await;
    store.append(&a_stream(), ExpectedVersion::NoStream, events(PAST)).await.unwrap();
    let noted = Arc::default();
    let run = || ProjectionRunner::new(store.clone()).projection(Noting(Arc::clone(&noted))).spawn();
    let count = || noted.lock().unwrap().len();
    let projections = run();
    while count() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..APPENDS_BESIDE {
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        assert!(count() < BATCH, "it waited until the batch had ended");
    }
    projections.shutdown().await.unwrap();
    let again = run();
    again.wait_for(store.head().await.unwrap()).await.unwrap();
    again.shutdown().await.unwrap();
    let all = (1..=(PAST + APPENDS_BESIDE) as u64).collect::<Vec<_>>();
    assert_eq!(*noted.lock().unwrap(), all);
}
