//! Opening a file: what it is set to, and files that earlier versions of the schema have left.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{Filter, SqliteOptions, SqliteStore, SqliteTransaction, Synchronous};
use eventsource_runtime::telemetry::span;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{a_file, a_stream, events, open};
use crate::messages::until;

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

/// Looks at the settings of the connection that writes.
#[derive(Clone, Default)]
pub(super) struct Settings(Arc<Mutex<HashMap<&'static str, i64>>>);

#[projection]
impl Settings {
    #[projection(setup)]
    fn look(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        for name in ["synchronous", "fullfsync"] {
            let value = tx.pragma_query_value(None, name, |row| row.get(0))?;
            self.0.lock().unwrap().insert(name, value);
        }
        Ok(())
    }

    fn placed(&self, _: &Recorded<Placed>, _: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// What a commit waits for is what was asked for, and `Full` is what nobody asks for.
#[tokio::test]
async fn the_connection_that_writes_is_as_durable_as_was_asked() {
    let of = async |options: SqliteOptions| {
        let (settings, store) = (Settings::default(), SqliteStore::open_with(a_file(), options).await.unwrap());
        store.open_projection(Arc::new(settings.clone()), 1, Position::START).await.unwrap();
        let seen = settings.0.lock().unwrap();
        (seen["synchronous"], seen["fullfsync"])
    };
    let (normal, full) = (1, 2);
    assert_eq!(of(SqliteOptions::default()).await, (full, 1));
    assert_eq!(of(SqliteOptions::default().synchronous(Synchronous::Full)).await, (full, 1));
    assert_eq!(of(SqliteOptions::default().synchronous(Synchronous::Normal)).await, (normal, 0));
}

/// The schema as each version of it was.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../eventsource-runtime/migrations/sqlite/0001_events.sql"),
    include_str!("../../../eventsource-runtime/migrations/sqlite/0002_projections.sql"),
    include_str!("../../../eventsource-runtime/migrations/sqlite/0003_snapshots.sql"),
    include_str!("../../../eventsource-runtime/migrations/sqlite/0004_leases_and_dead_letters.sql"),
];

/// What each version adds to a file.
const CONTENTS: [&str; 4] = [
    "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, payload) VALUES \
        ('Order-1', 1, x'00000000000000000000000000000001', 'Placed', 1, 7, x'31'), \
        ('Order-1', 2, x'00000000000000000000000000000002', 'Placed', 1, 7, x'32')",
    "INSERT INTO projection_checkpoints VALUES ('Settings', 1)",
    "INSERT INTO snapshots VALUES ('Order-1', 'Order', 2, 2, x'00000000000000000000000000000002', 1, 0, x'7B7D')",
    "UPDATE projection_partitions SET position = 2",
];

/// A file of an earlier version, with what may be in it.
fn earlier(file: &Path, version: usize) {
    let connection = Connection::open(file).unwrap();
    for (migration, contents) in MIGRATIONS.iter().zip(CONTENTS).take(version) {
        connection.execute_batch(migration).unwrap();
        connection.execute_batch(contents).unwrap();
    }
    let note = format!(
        "CREATE TABLE eventsource_schema (version INTEGER PRIMARY KEY) STRICT; INSERT INTO eventsource_schema VALUES ({version})"
    );
    connection.execute_batch(&note).unwrap();
}

#[tokio::test]
async fn a_file_of_each_earlier_schema_keeps_what_it_has() {
    for version in 1..=MIGRATIONS.len() {
        let file = a_file();
        earlier(&file, version);
        let store = SqliteStore::open(&file).await.unwrap();
        let stream = StreamId::new("Order", 1);
        let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
        let read: Vec<_> = page.events.iter().map(|event| (event.position.get(), &event.payload()[..])).collect();
        assert_eq!(read, [(1, &b"1"[..]), (2, b"2")], "version {version}");
        assert_eq!(
            store.append(&stream, ExpectedVersion::Exact(Version::new(2)), events(1)).await.unwrap().position,
            3
        );
        assert_eq!(store.snapshot_exists(&stream).await.unwrap(), version >= 3);
        store.open_projection(Arc::new(Settings::default()), 1, Position::START).await.unwrap();
        let claim = Claim::new(Uuid::now_v7(), "a test", std::time::Duration::from_secs(1));
        let lease = store.lease_projection(Partition::whole("Settings"), claim).await.unwrap();
        let expected = [0, 1, 1, 2][version - 1];
        assert_eq!((lease.checkpoint.get(), lease.taken), (expected, None), "version {version}");
    }
}

/// As that of a variable that is not set: the error said that a query was not read-only.
#[tokio::test]
async fn a_path_that_is_empty_is_refused() {
    let refused = SqliteStore::open("").await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("path is empty") && refused.error_type() == "refused", "{refused}: {why}");
}

/// Commands went on being acknowledged, into a file that nobody could find any more.
#[cfg(unix)]
#[tokio::test]
async fn a_store_whose_file_was_moved_or_replaced_acknowledges_nothing_more() {
    let log = Log::of_process();
    for replaced in [false, true] {
        let (file, stream) = (a_file(), a_stream());
        let (store, elsewhere) = (open(&file).await, file.with_extension("moved"));
        let append = async || store.append(&stream, ExpectedVersion::Any, events(1)).await;
        let before = append().await.unwrap();
        std::fs::rename(&file, &elsewhere).unwrap();
        if replaced {
            std::fs::copy(&elsewhere, &file).unwrap();
        }
        until(async || append().await.is_err()).await;
        let error = append().await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("nothing was stored: the file was moved or deleted"), "{said}");
        assert_eq!((error.error_type(), error.is_permanent()), ("backend", false));
        // Somebody else may have opened another in its place meanwhile.
        std::fs::rename(&elsewhere, &file).unwrap();
        append().await.unwrap_err();
        store.close().await;
        let again = open(&file).await;
        assert!(again.append(&stream, ExpectedVersion::Any, events(1)).await.unwrap().version > before.version);
    }
    log.hears("eventsource.store.sqlite.moved").await;
}

/// An append is nobody's: others are committed with it.
#[cfg(unix)]
#[tokio::test]
async fn that_a_file_was_moved_is_told_in_the_span_of_whoever_finds_it() {
    let (file, log, recorder) = (a_file(), Log::of_process(), Recorder::new());
    let store = open(&file).await;
    std::fs::rename(&file, file.with_extension("moved")).unwrap();
    let is_refused = async || store.open_projection(Arc::new(Settings::default()), 1, Position::START).await.is_err();
    recorder.run(span("set-up").run(until(is_refused))).await;
    log.hears("eventsource.store.sqlite.moved").await;
    log.has_ids("eventsource.store.sqlite.moved", &recorder.spans());
}

/// One of several could not be told, or the path had been mistaken for that of another file.
#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let (file, none) = (a_file(), b"name,price\n".repeat(1000));
    std::fs::write(&file, &none).unwrap();
    let refused = SqliteStore::open(&file).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(why, format!("file is not a database: {}", file.canonicalize().unwrap().display()));
    assert_eq!(std::fs::read(&file).unwrap(), none);
}

/// As after the death of a process in the middle of it.
#[tokio::test]
async fn a_migration_that_fails_in_the_middle_leaves_the_file_as_it_was() {
    let file = a_file();
    earlier(&file, 1);
    let raw = Connection::open(&file).unwrap();
    // In the way of the last of the tables to come.
    raw.execute_batch("CREATE TABLE projection_dead_letters (mine TEXT)").unwrap();
    let tables = || -> Vec<String> {
        let mut tables = raw.prepare("SELECT name FROM sqlite_schema ORDER BY name").unwrap();
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let before = tables();
    let refused = SqliteStore::open(&file).await.unwrap_err();
    assert!(format!("{refused:?}").contains("already exists"), "{refused:?}");
    assert_eq!(tables(), before);
    raw.execute_batch("DROP TABLE projection_dead_letters").unwrap();
    assert_eq!(open(&file).await.head().await.unwrap(), 2);
}
