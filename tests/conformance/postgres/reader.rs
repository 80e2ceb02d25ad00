//! The application's own SQL, through a store's connections.

use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::PostgresStore;
use eventsource_runtime::testing::run;
use eventsource_tests::dropping::dropped_after;
use eventsource_tests::services;
use tokio_postgres::Client;

use super::{a_stream, events, options};
use crate::messages::until;

/// A store with so many connections of a kind, the name of its application and of its schema, in which there is a table
/// `numbers` with a 1; and a client beside it.
async fn set_up(connections: usize) -> (PostgresStore, String, Client) {
    let name = services::a_schema();
    let address = format!("{}?application_name={name}", services::postgres());
    let store = PostgresStore::connect_with(&address, options(&name).connections(connections)).await.unwrap();
    let raw = services::raw(&services::postgres()).await;
    let numbers = format!("CREATE TABLE {name}.numbers (number bigint); INSERT INTO {name}.numbers VALUES (1)");
    raw.batch_execute(&numbers).await.unwrap();
    (store, name, raw)
}

/// How many rows of the table a reader sees, with a statement that is kept.
async fn count(store: &PostgresStore, schema: &str) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM {schema}.numbers");
    let reader = store.reader();
    let counted = reader.read(async |tx| {
        let statement = tx.prepare_cached(&sql).await?;
        tx.query_one(&statement, &[]).await?.try_get(0)
    });
    counted.await
}

#[test]
fn all_queries_of_one_read_see_the_same_moment() {
    run(async {
        let (store, schema, raw) = set_up(4).await;
        let sql = format!("SELECT count(*) FROM {schema}.numbers");
        let insert = format!("INSERT INTO {schema}.numbers SELECT generate_series(2, 3)");
        let reader = store.reader();
        let seen = reader.read(async |tx| {
            let before: i64 = tx.query_one(&sql, &[]).await?.try_get(0)?;
            raw.batch_execute(&insert).await?;
            let after: i64 = tx.query_one(&sql, &[]).await?.try_get(0)?;
            Ok((before, after))
        });
        assert_eq!(seen.await.unwrap(), (1, 1));
        assert_eq!(count(&store, &schema).await.unwrap(), 3, "the next one sees what was committed");
    });
}

/// What it refuses is its own doing, and no server that takes no writes, for which a handler would be run again.
#[test]
fn a_reader_writes_nothing() {
    run(async {
        let (store, schema, _) = set_up(1).await;
        let insert = format!("INSERT INTO {schema}.numbers VALUES (2)");
        let reader = store.reader();
        let written = reader.read(async |tx| tx.execute(&insert, &[]).await).await;
        let Err(StoreError::Refused { source, .. }) = written else { panic!("{written:?}") };
        assert!(source.to_string().contains("a reader writes nothing"), "{source}");
        let enqueued = reader.read(async |tx| Ok(tx.enqueue(&insert, &[]).await)).await.unwrap().unwrap_err();
        assert!(enqueued.to_string().contains("a reader writes nothing"), "{enqueued}");
        // Even if the transaction is made one that writes, it is undone.
        let begun_anew = format!("SET TRANSACTION READ WRITE; SET search_path = nowhere; {insert}");
        reader.read(async |tx| tx.execute_batch(&begun_anew).await).await.unwrap();
        assert_eq!(count(&store, &schema).await.unwrap(), 1);
        // The only connection that reads has its settings, and is none that the store has to replace.
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        let path = reader.read(async |tx| tx.query_one("SHOW search_path", &[]).await?.try_get::<_, String>(0)).await;
        assert_ne!(path.unwrap(), "nowhere");
    });
}

/// Those of the store's own statements have indexes used where a table has so few rows that nobody would.
#[test]
fn a_reader_plans_as_the_role_does_and_the_store_as_before() {
    run(async {
        let (store, _, raw) = set_up(1).await;
        let settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings \
            WHERE name IN ('enable_seqscan', 'jit', 'max_parallel_workers_per_gather', 'plan_cache_mode')";
        let roles: String = raw.query_one(settings, &[]).await.unwrap().get(0);
        let reader = store.reader();
        for _ in 0..2 {
            let readers = reader.read(async |tx| tx.query_one(settings, &[]).await?.try_get::<_, String>(0));
            assert_eq!(readers.await.unwrap(), roles);
        }
        let ours = reader.read(async |tx| {
            // The end of the transaction, which is the reader's in earnest, shows what the store's own statements have.
            tx.execute_batch("ROLLBACK").await?;
            tx.query_one(settings, &[]).await?.try_get::<_, String>(0)
        });
        assert!(ours.await.unwrap().contains("enable_seqscan=off"));
    });
}

/// A message whose handler asks for a table that is not there would be retried for minutes.
#[test]
fn what_a_reader_asks_for_in_vain_is_no_trouble_of_the_store() {
    run(async {
        let (store, schema, raw) = set_up(1).await;
        for sql in ["SELECT 1 FROM nowhere", "SELECT 1 WHERE false", "SELECT 'no number'", "SELECT 1 / 0"] {
            let read = store.reader().read(async |tx| tx.query_one(sql, &[]).await?.try_get::<_, i64>(0)).await;
            assert!(matches!(read, Err(StoreError::Refused { .. })), "{sql}: {read:?}");
        }
        // A table that gets other columns is no fault of the statement's, which is prepared anew.
        let all = format!("SELECT * FROM {schema}.numbers");
        let columns = async || {
            let reader = store.reader();
            let read = reader.read(async |tx| {
                let statement = tx.prepare_cached(&all).await?;
                Ok(tx.query_one(&statement, &[]).await?.len())
            });
            read.await
        };
        assert_eq!(columns().await.unwrap(), 1);
        raw.batch_execute(&format!("ALTER TABLE {schema}.numbers ADD COLUMN name text")).await.unwrap();
        let outdated = columns().await;
        assert!(matches!(outdated, Err(StoreError::Backend { .. })), "{outdated:?}");
        assert_eq!(columns().await.unwrap(), 2);
        store.close();
        assert!(matches!(columns().await, Err(StoreError::Closed)));
    });
}

/// With a client of the driver, all reads failed from then on, while writes went on.
#[test]
fn a_reader_goes_on_after_all_connections_were_lost() {
    run(async {
        let (store, schema, raw) = set_up(4).await;
        for _ in 0..3 {
            // Several are made.
            for counted in futures_util::future::join_all((0..8).map(|_| count(&store, &schema))).await {
                assert_eq!(counted.unwrap(), 1);
            }
            let kill = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1";
            let killed = raw.query(kill, &[&schema]).await.unwrap();
            assert!(killed.iter().all(|row| row.get(0)) && !killed.is_empty());
            // The driver hears of each at its own time.
            until(async || count(&store, &schema).await.is_ok()).await;
            for _ in 0..8 {
                assert_eq!(count(&store, &schema).await.unwrap(), 1);
            }
        }
    });
}

/// It would keep the connection from whoever is lent it next, and the snapshot from being cleaned up.
#[test]
fn a_statement_that_a_read_does_not_wait_for_ends_on_the_server() {
    run(async {
        let (store, name, raw) = set_up(1).await;
        let reader = store.reader();
        let read = reader.read(async |tx| {
            let sleep = tx.prepare_cached("SELECT pg_sleep(3600)").await?;
            // Sent, and then given up.
            Ok(dropped_after(1, tx.query(&sleep, &[])).await.is_none())
        });
        assert!(tokio::time::timeout(Duration::from_mins(1), read).await.unwrap().unwrap());
        assert_eq!(count(&store, &name).await.unwrap(), 1);
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'";
        until(async || raw.query_one(asleep, &[&name]).await.unwrap().get::<_, i64>(0) == 0).await;
    });
}

#[test]
fn a_read_that_is_dropped_while_it_waits_ends_on_the_server_and_leaves_the_pool_whole() {
    run(async {
        let (store, name, raw) = set_up(1).await;
        let reader = store.reader();
        let read =
            tokio::spawn(async move { reader.read(async |tx| tx.query("SELECT pg_sleep(3600)", &[]).await).await });
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'";
        let sleeping = async || raw.query_one(asleep, &[&name]).await.unwrap().get::<_, i64>(0);
        until(async || sleeping().await == 1).await;
        read.abort();
        until(async || sleeping().await == 0).await;
        assert_eq!(count(&store, &name).await.unwrap(), 1);
    });
}
