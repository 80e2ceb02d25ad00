//! One file, opened again and by several at once.

use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventsource_runtime::projection::{Batch, Claim, LeaseLost, Partition, ProjectionStore};
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, NewEvent, Position, SqliteOptions, SqliteStore, StoreError, StreamId, Synchronous,
    Version,
};
use eventsource_runtime::telemetry::Scope;
use eventsource_tests::alone::alone;
use eventsource_tests::logged::Log;
use eventsource_tests::services::repeats;
use rusqlite::Connection;
use uuid::Uuid;

use super::opening::Settings;
use super::{a_file, a_stream, events, open};
use crate::messages::until;

#[tokio::test]
async fn what_was_acknowledged_is_there_when_the_file_is_opened_again() {
    let (file, stream) = (a_file(), a_stream());
    let store = open(&file).await;
    let appended = store.append(&stream, ExpectedVersion::NoStream, events(3)).await.unwrap();
    let log = file.with_extension("db-wal");
    assert!(log.exists());
    store.close().await;
    assert!(!log.exists(), "the last connection takes the log with it, and none is open any more");
    assert!(matches!(store.head().await, Err(StoreError::Closed)));
    let refused = store.append(&stream, ExpectedVersion::Any, events(1)).await;
    assert_eq!(refused.unwrap_err().error_type(), "closed");

    let store = open(&file).await;
    assert_eq!(store.head().await.unwrap(), appended.position);
    assert_eq!(store.read_stream(&stream, Version::START, 10).await.unwrap().len(), 3);
    assert_eq!(store.append(&stream, ExpectedVersion::Exists, events(1)).await.unwrap().version, 4);
}

#[tokio::test]
async fn the_last_handle_closes_the_file() {
    let file = a_file();
    let store = open(&file).await;
    let reader = store.reader();
    drop(store);
    assert_eq!(
        reader.read(|connection| connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))).await.unwrap(),
        1
    );
    drop(reader);
    // The connection that closes last removes the log.
    let log = file.with_extension("db-wal");
    until(async || !log.exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_file_at_once() {
    let file = a_file();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let file = file.clone();
            tokio::spawn(async move {
                let store = open(&file).await;
                store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
                store
            })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap();
    }
    assert_eq!(open(&file).await.head().await.unwrap(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_see_each_other_and_take_turns() {
    let file = a_file();
    let (one, other) = (open(&file).await, open(&file).await);
    let mut subscription = other.subscribe(Position::START);
    let stream = a_stream();
    let writers: Vec<_> = [one.clone(), other.clone(), one, other]
        .into_iter()
        .map(|store| {
            let stream = stream.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    store.append(&stream, ExpectedVersion::Any, events(2)).await.unwrap();
                }
            })
        })
        .collect();
    for version in 1..=400 {
        let next = tokio::time::timeout(Duration::from_mins(1), subscription.next()).await;
        assert_eq!(next.expect("somebody writes").unwrap().version, version);
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// How many processes write one file.
const PROCESSES: usize = 8;
/// How many appends each of them makes: 1,000 in a long run.
const APPENDS: &str = "EVENTSOURCE_TESTS_SHARED_APPENDS";
/// Where a process finds the file.
const FILE: &str = "EVENTSOURCE_TESTS_SHARED_FILE";

#[tokio::test]
async fn processes_share_a_file_and_none_is_refused() {
    let (file, most) = (a_file(), repeats(APPENDS, 50));
    let store = open(&file).await;
    let start = |_| {
        let test = "sqlite::several::appends_to_a_shared_file";
        alone(test).env(FILE, &file).stdout(Stdio::null()).spawn().unwrap()
    };
    let mut processes: Vec<_> = (0..PROCESSES).map(start).collect();
    let mut subscription = store.subscribe(Position::START);
    for version in 1..=(PROCESSES * most) as u64 {
        let next = tokio::time::timeout(Duration::from_mins(1), subscription.next()).await;
        assert_eq!(next.expect("another process writes").unwrap().version, version);
    }
    for process in &mut processes {
        assert!(process.wait().unwrap().success(), "an append was refused");
    }
}

/// Does its work only in the processes that the test above starts.
#[tokio::test]
async fn appends_to_a_shared_file() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let (store, stream) = (open(Path::new(&file)).await, StreamId::new("Order", "of all"));
    for _ in 0..repeats(APPENDS, 50) {
        store.append(&stream, ExpectedVersion::Any, events(1)).await.unwrap();
    }
}

/// All of it runs on one thread: if an append kept that while it waits for the lock, nobody could give the lock back.
#[tokio::test]
async fn an_append_that_waits_for_another_process_holds_up_no_task() {
    let (file, stream) = (a_file(), a_stream());
    let store = open(&file).await;
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let append = tokio::spawn({
        let (store, stream) = (store.clone(), stream.clone());
        async move { store.append(&stream, ExpectedVersion::NoStream, events(1)).await }
    });
    for _ in 0..100 {
        assert!(store.read_stream(&stream, Version::START, 10).await.unwrap().is_empty(), "and no reader");
    }
    assert!(!append.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append.await.unwrap().unwrap().version, 1);
}

/// It tries six times, each time for as long as was asked.
#[tokio::test]
async fn an_append_waits_for_another_process_for_several_times_the_busy_timeout() {
    let (file, busy) = (a_file(), Duration::from_millis(500));
    let store = SqliteStore::open_with(&file, SqliteOptions::default().busy_timeout(busy)).await.unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (asked, stream) = (Instant::now(), a_stream());
    let mut append = pin!(store.append(&stream, ExpectedVersion::NoStream, events(1)));
    while asked.elapsed() < 2 * busy {
        let answer = futures_util::poll!(&mut append);
        assert!(answer.is_pending(), "{answer:?} after {:?}", asked.elapsed());
        tokio::task::yield_now().await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append.await.unwrap().version, 1);
}

/// After a restart with a clock that was a day ahead nobody ran the projection for a day.
#[tokio::test]
async fn a_lease_of_a_clock_that_was_set_back_is_free() {
    let (file, part) = (a_file(), Partition::whole("Settings"));
    let store = open(&file).await;
    store.open_projection(Arc::new(Settings::default()), 1, Position::START).await.unwrap();
    let claim = |term| Claim::new(Uuid::now_v7(), "a test", term);
    let (brief, day) = (Duration::from_secs(5), Duration::from_hours(24));
    let taken = async |claim: &Claim| store.lease_projection(part, claim.clone()).await.unwrap().taken;
    let dead = claim(brief);
    assert_eq!(taken(&dead).await, None);
    let raw = Connection::open(&file).unwrap();
    raw.busy_timeout(brief).unwrap();
    let set_back = |by: Duration| {
        let by = i64::try_from(by.as_millis()).unwrap();
        raw.execute("UPDATE projection_partitions SET expires = expires + ?1", [by]).unwrap();
    };
    set_back(Duration::from_mins(20));
    assert!(taken(&claim(brief)).await.is_some(), "somebody may have asked for so long a lease");
    set_back(day);
    assert!(taken(&claim(day)).await.is_some(), "as who asks does");
    assert_eq!(taken(&claim(brief)).await, None);
    let late = Batch::new(part, dead, Position::START, Position::new(1));
    let refused = store.apply_batch(Arc::new(Settings::default()), late, Scope::current()).await.unwrap_err();
    assert!(refused.cause().is::<LeaseLost>(), "{refused}");
}

/// It was free when it was looked at, and no longer when it could be written: both would have run the projection.
#[tokio::test]
async fn a_lease_that_another_process_takes_meanwhile_is_not_free() {
    let (file, part) = (a_file(), Partition::whole("Settings"));
    let store = open(&file).await;
    store.open_projection(Arc::new(Settings::default()), 1, Position::START).await.unwrap();
    let other = Connection::open(&file).unwrap();
    let take = "BEGIN IMMEDIATE; UPDATE projection_partitions SET token = randomblob(16), owner = 'another', \
        expires = CAST(unixepoch('subsec') * 1000 AS INTEGER) + 600000";
    other.execute_batch(take).unwrap();
    let claim = Claim::new(Uuid::now_v7(), "a test", Duration::from_secs(5));
    let (asked, mut lease) = (Instant::now(), pin!(store.lease_projection(part, claim)));
    while asked.elapsed() < Duration::from_millis(200) {
        assert!(futures_util::poll!(&mut lease).is_pending());
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(lease.await.unwrap().taken.unwrap().owner, "another");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let file = a_file();
    open(&file).await.close().await;
    Connection::open(&file).unwrap().execute("INSERT INTO eventsource_schema (version) VALUES (99)", []).unwrap();
    let refused = SqliteStore::open(&file).await;
    assert!(matches!(refused, Err(StoreError::Schema { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let file = a_file();
    std::fs::write(&file, "this is a letter, and a long one, so that nobody takes it for a database".repeat(100))
        .unwrap();
    let refused = SqliteStore::open(&file).await;
    assert!(matches!(refused, Err(StoreError::Backend { .. })), "{refused:?}");
    assert!(SqliteStore::open("/no/such/folder/a.db").await.is_err());
}

#[tokio::test]
async fn malformed_contexts_are_left_out_when_they_are_read() {
    let (file, stream) = (a_file(), a_stream());
    let store = open(&file).await;
    store.append(&stream, ExpectedVersion::NoStream, events(1)).await.unwrap();
    let sql = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, traceparent, \
        tracestate, payload) VALUES (?1, 2, randomblob(16), 'Placed', 1, 1, ?2, 'a=1', x'00')";
    Connection::open(&file).unwrap().execute(sql, (stream.as_str(), "00-zero-zero-00")).unwrap();
    let events = store.read_stream(&stream, Version::START, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].trace_context, None);
}

/// Somebody who began to read and forgot it lets the log grow: operators are told, and it is emptied afterwards.
#[tokio::test]
async fn a_log_that_somebody_keeps_from_being_emptied_is_told() {
    let (file, log) = (a_file(), Log::of_process());
    let store = SqliteStore::open_with(&file, SqliteOptions::default().synchronous(Synchronous::Normal)).await.unwrap();
    store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    let large = NewEvent { payload: vec![b'1'; 8 * 1024 * 1024].into(), ..events(1).remove(0) };
    let append = async || {
        let event = NewEvent { id: Uuid::now_v7(), ..large.clone() };
        store.append(&a_stream(), ExpectedVersion::Any, vec![event]).await.unwrap();
    };
    let size = || std::fs::metadata(format!("{}-wal", file.display())).unwrap().len();
    while size() < 160 * 1024 * 1024 {
        append().await;
    }
    log.hears("eventsource.store.sqlite.log_kept").await;
    reader.execute_batch("COMMIT").unwrap();
    let mut appended = 0;
    while size() >= 128 * 1024 * 1024 {
        append().await;
        appended += 1;
        assert!(appended < 100, "it is not emptied: {} bytes", size());
    }
}
