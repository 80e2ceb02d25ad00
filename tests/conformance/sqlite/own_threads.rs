//! What the store itself runs, and then waits for the store.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{Projection, ProjectionRunner, ProjectionStopped, StepResult};
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, Sqlite, SqliteOptions, SqliteStore, SqliteTransaction, StoreError,
};
use tokio::runtime::Handle;

use super::{a_file, a_stream, events, open};

/// With one reader it waited for itself for ever, and so did everybody else who read, and `close`.
#[tokio::test]
async fn a_reader_that_waits_for_a_reader_is_refused() {
    for path in [a_file(), ":memory:".into()] {
        let store = SqliteStore::open_with(&path, SqliteOptions::default().readers(1)).await.unwrap();
        let (reader, inner, runtime) = (store.reader(), store.reader(), Handle::current());
        let read = reader.read(move |_| Ok(runtime.block_on(inner.read(|_| Ok(()))))).await.unwrap();
        assert!(matches!(read, Err(StoreError::Refused { .. })), "{read:?}");
        assert_eq!(store.head().await.unwrap(), 0);
        store.close().await;
    }
}

/// Another store's readers are no hindrance.
#[tokio::test]
async fn a_reader_may_wait_for_another_store() {
    let (store, other, runtime) = (open(&a_file()).await, open(&a_file()).await.reader(), Handle::current());
    let read = store.reader().read(move |_| Ok(runtime.block_on(other.read(|_| Ok(7))))).await.unwrap();
    assert_eq!(read.unwrap(), 7);
}

/// It would hold up those who do wait.
#[tokio::test]
async fn what_nobody_waits_for_when_its_turn_comes_is_not_run() {
    for path in [a_file(), ":memory:".into()] {
        let store = SqliteStore::open_with(&path, SqliteOptions::default().readers(1)).await.unwrap();
        let (reader, runs) = (store.reader(), Arc::new(AtomicUsize::new(0)));
        let (release, released) = mpsc::channel::<()>();
        let mut first = pin!(reader.read(move |_| Ok(released.recv().is_err())));
        assert!(futures_util::poll!(&mut first).is_pending());
        let run = || {
            let runs = Arc::clone(&runs);
            reader.read(move |_| Ok(runs.fetch_add(1, Ordering::Relaxed)))
        };
        {
            let mut dropped = pin!(run());
            assert!(futures_util::poll!(&mut dropped).is_pending());
        }
        drop(release);
        assert!(first.await.unwrap());
        assert_eq!(run().await.unwrap(), 0, "it was run before");
    }
}

/// Closes its own store in a step.
struct Closes(SqliteStore, Handle);

impl Projection<Sqlite> for Closes {
    fn name(&self) -> &'static str {
        "Closes"
    }

    fn span_name(&self) -> &'static str {
        "projection.Closes"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn apply(&self, _: &StoredEvent, _: &SqliteTransaction<'_>) -> StepResult {
        self.1.block_on(self.0.close());
        Ok(())
    }
}

/// The step waited for its own thread, in a transaction that kept all other processes from writing.
#[tokio::test]
async fn a_step_that_closes_its_store_does_not_wait_for_itself() {
    let (file, stream) = (a_file(), a_stream());
    let store = open(&file).await;
    store.append(&stream, ExpectedVersion::NoStream, events(1)).await.unwrap();
    let projection = Closes(store.clone(), Handle::current());
    let projections = ProjectionRunner::new(store.clone()).projection(projection).spawn();
    assert!(matches!(projections.stopped().await, ProjectionStopped::Failed { .. }));
    tokio::time::timeout(Duration::from_mins(1), store.close()).await.unwrap();
    open(&file).await.append(&stream, ExpectedVersion::Any, events(1)).await.unwrap();
}
