//! What is written together, and what is never written.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{
    Applied, Batch, CheckpointMoved, Claim, Partition, Projection, ProjectionError, ProjectionStore, StepResult,
};
use eventsource_runtime::store::{
    AppendError, EventStore, ExpectedVersion, Filter, Position, Sqlite, SqliteStore, SqliteTransaction, StoreError,
    StreamId, Version,
};
use eventsource_runtime::telemetry::Scope;
use rusqlite::Connection;
use uuid::Uuid;

use super::{a_file, a_stream, events, open};

#[tokio::test]
async fn events_are_neither_changed_nor_deleted() {
    let (file, stream) = (a_file(), a_stream());
    let store = open(&file).await;
    store.append(&stream, ExpectedVersion::NoStream, events(2)).await.unwrap();
    let connection = Connection::open(&file).unwrap();
    for sql in ["UPDATE events SET payload = x'00'", "DELETE FROM events", "DELETE FROM events WHERE version = 2"] {
        let refused = connection.execute(sql, []).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(store.read_stream(&stream, Version::START, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn readers_do_not_write() {
    for path in [a_file(), ":memory:".into()] {
        let store = SqliteStore::open(&path).await.unwrap();
        let reader = store.reader();
        let written = reader.read(|connection| connection.execute_batch("CREATE TABLE mine (id)")).await;
        assert!(written.is_err());
        // A transaction that a reader forgets to end ends with it.
        reader.read(|connection| connection.execute_batch("BEGIN; SELECT * FROM events")).await.unwrap();
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        assert_eq!(store.head().await.unwrap(), 1);
    }
}

/// It passed for a store in trouble: a message whose handler asked for a row that was not there was retried for minutes.
#[tokio::test]
async fn what_a_reader_asks_for_in_vain_is_no_trouble_of_the_store() {
    let reader = open(&a_file()).await.reader();
    for sql in ["SELECT position FROM events", "SELECT 1 FROM nowhere", "SELECT 'no number'"] {
        let read = reader.read(move |connection| connection.query_row(sql, [], |row| row.get::<_, i64>(0))).await;
        assert!(matches!(read, Err(StoreError::Refused { .. })), "{sql}: {read:?}");
    }
    let full = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    let read = reader.read(move |_| Err::<(), _>(full())).await;
    assert!(matches!(read, Err(StoreError::Backend { .. })), "{read:?}");
}

#[tokio::test]
async fn a_panic_in_a_reader_is_its_callers_alone() {
    let store = open(&a_file()).await;
    let reader = store.reader();
    let panicked = tokio::spawn(async move { reader.read(|_| -> rusqlite::Result<()> { panic!("mine") }).await }).await;
    assert!(panicked.unwrap_err().is_panic());
    for _ in 0..10 {
        assert_eq!(store.head().await.unwrap(), Position::START);
    }
}

/// Many appends are put in the queue while the writer is busy, so that they become one group; a third of them fail,
/// each in another way.
#[tokio::test]
async fn a_failing_append_does_not_undo_its_neighbours() {
    let store = open(&a_file()).await;
    let known = events(1);
    store.append(&a_stream(), ExpectedVersion::NoStream, known.clone()).await.unwrap();
    let appends = (0..90).map(|number| {
        let (store, known) = (store.clone(), known.clone());
        let stream = StreamId::new("Order", number);
        async move {
            let (expected, batch) = match number % 9 {
                0 => (ExpectedVersion::Exact(Version::new(7)), events(2)),
                3 => (ExpectedVersion::Any, [events(2), known].concat()),
                6 => (ExpectedVersion::NoStream, [events(1), known, events(1)].concat()),
                _ => (ExpectedVersion::NoStream, events(2)),
            };
            (number, stream.clone(), store.append(&stream, expected, batch).await)
        }
    });
    for (number, stream, result) in together(appends).await {
        let stored = store.read_stream(&stream, Version::START, 10).await.unwrap().len();
        match number % 9 {
            0 => assert!(matches!(result, Err(AppendError::Conflict(_))), "{number}: {result:?}"),
            3 | 6 => assert!(matches!(result, Err(AppendError::IdempotencyMismatch { .. })), "{number}: {result:?}"),
            _ => assert_eq!(result.unwrap().version, 2),
        }
        assert_eq!(stored, if number % 3 == 0 { 0 } else { 2 }, "{number}");
    }
}

/// Not by its outcome, but by an error of the database in the middle of the group.
#[tokio::test]
async fn a_refused_append_does_not_undo_its_neighbours() {
    let file = a_file();
    let store = open(&file).await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.stream_id LIKE 'Refused-%' AND NEW.version = 2
        BEGIN SELECT raise(ABORT, 'not this one'); END";
    Connection::open(&file).unwrap().execute_batch(refuse).unwrap();
    let appends = (0..64).map(|number| {
        let (store, stream) = (store.clone(), StreamId::new(if number % 8 == 3 { "Refused" } else { "Order" }, number));
        async move { (number, store.append(&stream, ExpectedVersion::Any, events(2)).await) }
    });
    for (number, appended) in together(appends).await {
        assert_eq!(appended.is_ok(), number % 8 != 3, "{number}: {appended:?}");
        if let Err(error) = appended {
            assert!(error.error_type() == "refused" && error.is_permanent(), "it would be refused again: {error:?}");
        }
    }
    assert_eq!(store.head().await.unwrap(), 64 / 8 * 7 * 2);
}

/// Polls all futures in turn, so that all have asked before the first is answered.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(|task| {
        for slot in &mut futures {
            if let Some(future) = slot
                && let std::task::Poll::Ready(output) = future.as_mut().poll(task)
            {
                outputs.push(output);
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs
}

/// Notes the versions that it is shown, and fails as it is told.
struct Versions {
    fails: Fails,
}

#[derive(Clone)]
enum Fails {
    Never,
    BlocksOn(SqliteStore, tokio::runtime::Handle),
    At(u64),
    PanicsAt(u64),
    Ends(&'static str),
    GoesOnAfter(&'static [&'static str]),
}

impl Projection<Sqlite> for Versions {
    fn name(&self) -> &'static str {
        "Versions"
    }

    fn span_name(&self) -> &'static str {
        "projection.Versions"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn setup<'a>(&'a self, tx: &'a SqliteTransaction<'_>) -> StepResult {
        Ok(tx.execute_batch("CREATE TABLE versions (version INTEGER PRIMARY KEY)")?)
    }

    fn reset<'a>(&'a self, tx: &'a SqliteTransaction<'_>) -> StepResult {
        Ok(tx.execute_batch("DELETE FROM versions")?)
    }

    fn apply<'a>(&'a self, event: &'a StoredEvent, tx: &'a SqliteTransaction<'_>) -> StepResult {
        let version = event.version.get();
        tx.execute("INSERT INTO versions (version) VALUES (?1)", [i64::try_from(version).unwrap()])?;
        match &self.fails {
            Fails::BlocksOn(store, runtime) => {
                Ok(runtime.block_on(store.append(&a_stream(), ExpectedVersion::Any, events(1))).map(drop)?)
            }
            &Fails::At(at) if at == version => Err(ProjectionError::new("told to")),
            &Fails::PanicsAt(at) if at == version => panic!("told to"),
            Fails::Ends(how) if version == 2 => Ok(tx.execute_batch(how)?),
            Fails::GoesOnAfter(statements) if version == 2 => {
                for statement in statements.iter().chain(&["INSERT INTO versions (version) VALUES (100)"]) {
                    let _ = tx.execute_batch(statement);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn versions(fails: Fails) -> Arc<dyn Projection<Sqlite>> {
    Arc::new(Versions { fails })
}

async fn noted(store: &SqliteStore) -> i64 {
    let count = |connection: &Connection| connection.query_row("SELECT count(*) FROM versions", [], |row| row.get(0));
    store.reader().read(count).await.unwrap()
}

/// Of two projections that caught up beside each other, each took its wait for the other as its own and grew by it.
#[tokio::test]
async fn how_long_a_batch_took_is_told_without_what_it_waited_for() {
    let store = open(&a_file()).await;
    store.append(&a_stream(), ExpectedVersion::NoStream, events(5)).await.unwrap();
    opened(&store).await;
    let batch = all_of(&store).await;
    let (entered, has_entered) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel();
    let (writer, held) = (store.clone(), Held(Mutex::new(Some((entered, released)))));
    let holding = tokio::spawn(async move { writer.open_projection(Arc::new(held), 1, Position::START).await });
    has_entered.await.unwrap();
    let mut waiting = pin!(store.apply_batch(versions(Fails::Never), batch, Scope::current()));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    // It is in the queue; what passes from here on is longer than what it takes by itself.
    let (queued, mut waited) = (Instant::now(), Duration::ZERO);
    while waited < Duration::from_millis(200) {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
        waited = queued.elapsed();
    }
    release.send(()).unwrap();
    let took = waiting.await.unwrap().took.unwrap();
    assert!(took.steps + took.rest + waited <= queued.elapsed(), "{took:?}");
    assert!(took.steps > Duration::ZERO && took.rest > Duration::ZERO, "{took:?}");
    holding.await.unwrap().unwrap();
}

/// It waited for its own thread for ever, and so did everybody else, and `close`.
#[tokio::test]
async fn a_step_that_blocks_on_its_own_store_is_refused() {
    for path in [a_file(), ":memory:".into()] {
        let store = open(&path).await;
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        opened(&store).await;
        let fails = Fails::BlocksOn(store.clone(), tokio::runtime::Handle::current());
        let refused = apply(&store, fails).await.unwrap_err();
        assert!(format!("{refused:?}").contains("a step that waits for the store"), "{refused:?}");
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        store.close().await;
    }
}

/// Holds the writer from when it says so until it is told.
struct Held(Mutex<Option<(tokio::sync::oneshot::Sender<()>, std::sync::mpsc::Receiver<()>)>>);

impl Projection<Sqlite> for Held {
    fn name(&self) -> &'static str {
        "Held"
    }

    fn span_name(&self) -> &'static str {
        "projection.Held"
    }

    fn event_types(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn setup<'a>(&'a self, _: &'a SqliteTransaction<'_>) -> StepResult {
        let (entered, released) = self.0.lock().unwrap().take().unwrap();
        entered.send(()).unwrap();
        released.recv().unwrap();
        Ok(())
    }

    fn reset<'a>(&'a self, _: &'a SqliteTransaction<'_>) -> StepResult {
        Ok(())
    }

    fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a SqliteTransaction<'_>) -> StepResult {
        Ok(())
    }
}

async fn apply(store: &SqliteStore, fails: Fails) -> Result<Applied, ProjectionError> {
    store.apply_batch(versions(fails), all_of(store).await, Scope::current()).await
}

async fn all_of(store: &SqliteStore) -> Batch {
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    Batch::new(PART, claim(), Position::START, page.scanned).events(page.events)
}

const PART: Partition = Partition::whole("Versions");

fn claim() -> Claim {
    Claim::new(Uuid::from_u128(1), "a test", Duration::from_mins(1))
}

/// Opens the projection and has its lease; where it stands.
async fn opened(store: &SqliteStore) -> Position {
    store.open_projection(versions(Fails::Never), 1, Position::START).await.unwrap();
    let lease = store.lease_projection(PART, claim()).await.unwrap();
    assert_eq!(lease.taken, None);
    lease.checkpoint
}

#[tokio::test]
async fn a_batch_and_its_checkpoint_are_one() {
    for path in [a_file(), ":memory:".into()] {
        let store = SqliteStore::open(&path).await.unwrap();
        store.append(&a_stream(), ExpectedVersion::NoStream, events(5)).await.unwrap();
        assert!(apply(&store, Fails::Never).await.is_err(), "it is not open");
        for _ in 0..2 {
            assert_eq!(opened(&store).await, Position::START);
        }
        for fails in [Fails::At(3), Fails::PanicsAt(5)] {
            assert!(apply(&store, fails).await.unwrap_err().to_string().contains("told to"));
            assert_eq!(noted(&store).await, 0, "a failing step undoes the batch");
            assert_eq!(opened(&store).await, Position::START);
        }
        apply(&store, Fails::Never).await.unwrap();
        assert_eq!(noted(&store).await, 5);
        assert_eq!(opened(&store).await, 5);
        // The same batch again, or that of another runner, is refused: its events were counted as done once, and a
        // store that passed over them in silence lost them for whoever had not applied them.
        let error = apply(&store, Fails::Never).await.unwrap_err();
        let moved: &CheckpointMoved = error.cause().downcast_ref().unwrap();
        assert_eq!((moved.expected.get(), moved.found.get()), (0, 5));
        assert_eq!(noted(&store).await, 5);
        store.reset_projection(versions(Fails::Never), claim().token).await.unwrap();
        assert_eq!(noted(&store).await, 0);
        assert_eq!(opened(&store).await, Position::START);
    }
}

#[tokio::test]
async fn a_step_that_ends_the_transaction_fails_the_batch() {
    // One that began another was not noticed, and the checkpoint passed what it had undone.
    for how in
        ["COMMIT", "ROLLBACK", "COMMIT; BEGIN; ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN IMMEDIATE", "END; BEGIN"]
    {
        let store = open(&a_file()).await;
        store.append(&a_stream(), ExpectedVersion::NoStream, events(3)).await.unwrap();
        opened(&store).await;
        let error = apply(&store, Fails::Ends(how)).await.unwrap_err();
        assert!(error.to_string().contains("ended the batch"), "{how}: {error}");
        assert_eq!(error.event(), Some(Position::new(2)), "{how}");
        assert_eq!(opened(&store).await, Position::START, "{how}");
        assert_eq!(store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap().position, 4);
    }
}

/// It was committed by itself, once for each attempt.
#[tokio::test]
async fn what_a_step_writes_when_its_transaction_has_ended_is_not_kept() {
    let ends: [&[&str]; 4] = [
        &["INSERT OR ROLLBACK INTO versions (version) VALUES (1)"],
        &["COMMIT"],
        &["COMMIT", "BEGIN"],
        &["ROLLBACK", "BEGIN", "INSERT INTO versions (version) VALUES (101)", "COMMIT"],
    ];
    for ends in ends {
        let store = open(&a_file()).await;
        store.append(&a_stream(), ExpectedVersion::NoStream, events(3)).await.unwrap();
        opened(&store).await;
        for _ in 0..2 {
            let error = apply(&store, Fails::GoesOnAfter(ends)).await.unwrap_err();
            assert!(error.to_string().contains("ended the batch"), "{ends:?}: {error}");
            assert_eq!(error.event(), Some(Position::new(2)), "{ends:?}");
        }
        assert_eq!(noted(&store).await, 0, "{ends:?}");
        assert_eq!(store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap().position, 4);
    }
}

/// It got any position that was free, behind all readers.
#[tokio::test]
async fn nothing_follows_the_last_position_that_there_is() {
    let file = a_file();
    let store = open(&file).await;
    assert_eq!(store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap().position, 1);
    let last =
        "INSERT INTO events (position, stream_id, version, event_id, event_type, schema_version, recorded_at, payload)
        VALUES (9223372036854775806, 'Order-last', 1, randomblob(16), 'Placed', 1, 0, x'00')";
    Connection::open(&file).unwrap().execute(last, []).unwrap();
    for count in [2, 1, 1] {
        let refused = store.append(&a_stream(), ExpectedVersion::NoStream, events(count)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Store(StoreError::Refused { .. })), "{refused}");
    }
    assert_eq!(store.read_all(Position::START, &Filter::all(), 10).await.unwrap().events.len(), 2);
}
