//! Transactions that somebody else leaves open, beside the log.

use eventsource_runtime::store::{EventStore, ExpectedVersion, Filter, Position, PostgresOptions, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, PostgresServer};
use tokio_postgres::Client;

use super::{a_stream, events, open_in};

/// What another session does, and then leaves as it is, with the schema for `{}`. The last of each may fail.
const LEFT: [&[&str]; 6] = [
    &["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "SELECT count(*) FROM {}.events"],
    &["BEGIN", "SELECT pg_advisory_xact_lock(1), pg_advisory_lock(2)"],
    &["BEGIN", "CREATE TABLE {}.others (id int)", "INSERT INTO {}.others VALUES (1)"],
    &["BEGIN", "DECLARE open CURSOR FOR SELECT * FROM {}.events", "FETCH 1 FROM open"],
    &["BEGIN", "SELECT count(*) FROM {}.events", "SELECT 1 / 0"],
    // With a number of its own, as one that is about to append.
    &["BEGIN", "SELECT max(position) + 1 FROM {}.events", "SELECT pg_current_xact_id()"],
];

async fn leave(raw: &Client, schema: &str, statements: &[&str]) {
    for statement in statements {
        // One of them is to fail: its transaction is aborted, and stays.
        let _ = raw.batch_execute(&statement.replace("{}", schema)).await;
    }
}

/// Appends, and has the events from the feed, which does not end if they wait for something that was left open.
async fn passes(store: &PostgresStore) {
    // One event has a statement of its own.
    for count in [1, 2] {
        let head = store.head().await.unwrap();
        let appended = store.append(&a_stream(), ExpectedVersion::NoStream, events(count)).await.unwrap();
        store.changed(head).await;
        let page = store.read_all(head, &Filter::all(), 10).await.unwrap();
        assert_eq!((page.events.len(), page.scanned), (count, appended.position));
    }
}

#[test]
fn a_transaction_that_is_left_open_holds_up_neither_appends_nor_the_feed() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        passes(&store).await;
        let mut left = Vec::new();
        for statements in LEFT {
            let named = format!("{}?application_name={schema}", services::postgres());
            let raw = services::raw(&named).await;
            leave(&raw, &schema, statements).await;
            passes(&store).await;
            left.push(raw);
        }
        let watching = services::raw(&services::postgres()).await;
        let idle =
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name = $1";
        assert_eq!(watching.query_one(idle, &[&schema]).await.unwrap().get::<_, i64>(0), 6, "they are still open");
    });
}

/// Such as those of a coordinator that is gone, and of another database of the server.
#[test]
fn a_transaction_that_no_session_has_holds_up_neither_appends_nor_the_feed() {
    run(async {
        let server = PostgresServer::start();
        server.set("max_prepared_transactions = 8");
        let raw = services::raw(&server.address()).await;
        let store = PostgresStore::connect_with(&server.address(), PostgresOptions::default()).await.unwrap();
        let prepared =
            ["CREATE TABLE others (id int)", "BEGIN", "INSERT INTO others VALUES (1)", "PREPARE TRANSACTION 'left'"];
        leave(&raw, "", &prepared).await;
        let count = "SELECT count(*) FROM pg_prepared_xacts";
        assert_eq!(raw.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
        leave(&raw, "", &["CREATE DATABASE elsewhere"]).await;
        let elsewhere = services::raw(&server.address().replace("/postgres", "/elsewhere")).await;
        leave(&elsewhere, "", &["BEGIN", "CREATE TABLE others (id int)"]).await;
        passes(&store).await;
    });
}

/// Positions are given to what is committed alone, so that there is no field of gaps for a reader to cross.
#[test]
fn what_was_refused_leaves_no_gap_in_the_feed() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        let stream = a_stream();
        store.append(&stream, ExpectedVersion::NoStream, events(1)).await.unwrap();
        for _ in 0..10 {
            let refused = (0..1000).map(|_| store.append(&stream, ExpectedVersion::NoStream, events(1)));
            for refused in futures_util::future::join_all(refused).await {
                refused.unwrap_err();
            }
        }
        let last = store.append(&stream, ExpectedVersion::Any, events(1)).await.unwrap();
        assert_eq!(last.position, Position::new(2));
        let page = store.read_all(Position::new(1), &Filter::all(), 10).await.unwrap();
        assert_eq!(page.events.len(), 1);
    });
}

/// One that hides nearly everything would otherwise be looked for through all of the feed, however long, by one page.
#[test]
fn a_page_that_shows_nothing_looks_at_no_more_than_so_many() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let raw = services::raw(&services::postgres()).await;
        let insert = format!(
            "INSERT INTO {schema}.events SELECT at, 'Order-1', at, gen_random_uuid(), 'Placed', 1, 7, \
            NULL, NULL, NULL, NULL, NULL, '1' FROM generate_series(1, 10000) AS at"
        );
        raw.batch_execute(&insert).await.unwrap();
        for nobodys in [Filter::all().event_types(["Nobody's"]), Filter::all().aggregate_types(["Nobody"])] {
            let page = store.read_all(Position::START, &nobodys, 10).await.unwrap();
            assert_eq!((page.events.len(), page.scanned.get()), (0, 8192));
            assert_eq!(store.read_all(page.scanned, &nobodys, 10).await.unwrap().scanned, 10_000);
        }
    });
}
