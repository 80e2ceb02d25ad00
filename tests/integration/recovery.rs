//! Processes that die: what was acknowledged is there when the file is opened again.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, SqliteOptions, SqliteStore, Synchronous};
use eventsource_tests::mortal::{commit_for_ever, killed};
use eventsource_tests::orders::OrderReadModel;
use eventsource_tests::scratch::Scratch;
use uuid::Uuid;

use crate::{bus, place};

/// Names the file, in the process that is killed.
const CHILD: &str = "EVENTSOURCE_TESTS_DIES";
/// And how it is written, there.
const SYNCHRONOUS: &str = "EVENTSOURCE_TESTS_SYNCHRONOUS";
/// How often a process is killed here; set to more for a long run.
const CYCLES: &str = "EVENTSOURCE_TESTS_CYCLES";

/// A child appends and says what was acknowledged; it is killed after a number of acknowledgements that differs from
/// cycle to cycle, in the middle of further appends and of the batches of a projection, which has applied something by
/// then.
#[tokio::test]
async fn killed_processes_lose_nothing_that_was_acknowledged() {
    let cycles = std::env::var(CYCLES).ok().and_then(|cycles| cycles.parse().ok()).unwrap_or(10);
    for synchronous in ["full", "normal"] {
        let scratch = Scratch::new();
        let file = scratch.file();
        let (mut acknowledged, mut before) = (Vec::new(), Position::START);
        for cycle in 0..cycles {
            let variables: [(&str, &OsStr); 2] = [(CHILD, file.as_ref()), (SYNCHRONOUS, synchronous.as_ref())];
            acknowledged.extend(killed("recovery::dies", &variables, 1 + cycle * 7 % 40));
            let (applied, head) = verify(&file, &acknowledged).await;
            assert!(applied > before, "the projection of the process that was killed was at work");
            before = head;
        }
    }
}

/// Looks at what is left, and applies the rest of it: up to where it had been applied, and where the feed ends.
async fn verify(path: &Path, acknowledged: &[Uuid]) -> (Position, Position) {
    let store = SqliteStore::open(path).await.unwrap();
    let checkpoint = "SELECT position FROM projection_partitions WHERE projection = 'OrderReadModel'";
    let applied: i64 =
        store.reader().read(move |connection| connection.query_row(checkpoint, [], |row| row.get(0))).await.unwrap();
    let mut feed = store.feed(Position::START, Filter::all());
    let mut events = Vec::new();
    while let Some(event) = feed.next().await.unwrap() {
        events.push(event);
    }
    let stored: std::collections::HashSet<&str> = events.iter().map(|event| event.stream.aggregate_id()).collect();
    assert_eq!(stored.len(), events.len(), "every order is stored once");
    for order in acknowledged {
        assert!(stored.contains(order.to_string().as_str()), "{order} was acknowledged and is gone");
    }
    let positions: Vec<_> = events.iter().map(|event| event.position.get()).collect();
    assert!(positions.is_sorted_by(|before, after| before < after));

    // Each event has had its effect once: the read model's key would refuse a second.
    let head = events.last().map_or(Position::START, |event| event.position);
    let projections = runner(&store).spawn();
    projections.wait_for(head).await.unwrap();
    projections.shutdown().await.unwrap();
    let sql = "SELECT count(*) FROM order_views";
    let views: i64 =
        store.reader().read(move |connection| connection.query_row(sql, [], |row| row.get(0))).await.unwrap();
    assert_eq!(usize::try_from(views).unwrap(), events.len());
    let check = "PRAGMA integrity_check";
    let intact: String =
        store.reader().read(move |connection| connection.query_row(check, [], |row| row.get(0))).await.unwrap();
    assert_eq!(intact, "ok");
    store.close().await;
    (Position::new(applied.cast_unsigned()), head)
}

/// A killed process leaves its lease behind, for which the next one should not wait long here.
fn runner(store: &SqliteStore) -> ProjectionRunner<SqliteStore> {
    ProjectionRunner::new(store.clone()).projection(OrderReadModel).lease(Duration::from_millis(50))
}

/// Does its work only in the process that the test above starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dies() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let synchronous = match std::env::var(SYNCHRONOUS).as_deref() {
        Ok("normal") => Synchronous::Normal,
        _ => Synchronous::Full,
    };
    let store = SqliteStore::open_with(path, SqliteOptions::default().synchronous(synchronous)).await.unwrap();
    let projections = runner(&store).spawn();
    let commands = bus(&store);
    let commit = move |order| {
        let commands = commands.clone();
        async move { commands.dispatch(place(order)).await.unwrap().position }
    };
    commit_for_ever(&projections, commit).await;
}
