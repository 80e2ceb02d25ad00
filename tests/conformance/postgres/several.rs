//! Several stores on one schema, as several processes are, and what one of them does to its neighbours.

use std::collections::HashSet;
use std::time::Duration;

use eventsource_runtime::store::{EventStore, ExpectedVersion, Position, PostgresStore, StreamId, Version};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use futures_util::FutureExt;

use super::interleaved::at_once;
use super::lost::behind;
use super::{a_stream, events, open_in, options};
use crate::messages::until;

/// What four stores append with four tasks each, a fifth shows once and in order, while it happens.
#[test]
fn a_subscription_shows_what_all_the_others_append() {
    run(async {
        let schema = services::a_schema();
        let reader = open_in(&schema).await;
        let mut writers = Vec::new();
        for _ in 0..4 {
            let store = open_in(&schema).await;
            writers.extend((0..4).map(|_| tokio::spawn(append_many(store.clone()))));
        }
        let mut subscription = reader.subscribe(Position::START);
        let (mut seen, mut last) = (HashSet::new(), Position::START);
        while seen.len() < 16 * 50 {
            let event = subscription.next().await.unwrap();
            assert!(event.position > last, "positions ascend");
            last = event.position;
            assert!(seen.insert(event.id), "each once");
        }
        for writer in writers {
            assert!(writer.await.unwrap().into_iter().all(|id| seen.contains(&id)));
        }
    });
}

async fn append_many(store: PostgresStore) -> Vec<uuid::Uuid> {
    let (stream, mut ids) = (a_stream(), Vec::new());
    for number in 0..50 {
        let batch = events(1);
        ids.push(batch[0].id);
        store.append(&stream, ExpectedVersion::Exact(Version::new(number)), batch).await.unwrap();
    }
    ids
}

/// With a polling interval of an hour, whoever waits is woken by another store's append: by its notification. Also
/// after the connection that listens was lost.
#[test]
fn another_stores_append_wakes_who_waits() {
    run(async {
        let schema = services::a_schema();
        let options = options(&schema).polling_interval(Duration::from_hours(1));
        let address = format!("{}?application_name={schema}", services::postgres());
        let waiting = PostgresStore::connect_with(&address, options).await.unwrap();
        let other = open_in(&schema).await;
        let raw = services::raw(&services::postgres()).await;
        for round in 0..3 {
            let before = waiting.head().await.unwrap();
            let waiter = {
                let waiting = waiting.clone();
                tokio::spawn(async move { waiting.changed(before).await })
            };
            listening(&raw, &schema).await;
            other.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
            waiter.await.unwrap();
            if round == 1 {
                assert_eq!(raw.query(KILL, &[&schema]).await.unwrap().len(), 1);
                gone(&raw, &schema).await;
            }
        }
    });
}

/// Each way to append has a statement of its own: for one event that comes alone, for one that waits for another
/// process, and for several.
#[test]
fn whichever_way_a_store_appends_wakes_who_waits() {
    run(async {
        let schema = services::a_schema();
        let options = options(&schema).polling_interval(Duration::from_hours(1));
        let address = format!("{}?application_name={schema}", services::postgres());
        let waiting = PostgresStore::connect_with(&address, options).await.unwrap();
        let (other, raw) = (open_in(&schema).await, services::raw(&services::postgres()).await);
        let lock =
            "BEGIN; SELECT pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{}.events'::regclass::oid::bigint)";
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
            AND objid = '{}.events'::regclass";
        let [lock, waits] = [lock, waits].map(|sql| sql.replace("{}", &schema));
        for (count, is_locked) in [(1, false), (1, true), (2, false)] {
            let (head, woken) = (waiting.head().await.unwrap(), waiting.clone());
            let woken = tokio::spawn(async move { woken.changed(head).await });
            listening(&raw, &schema).await;
            raw.batch_execute(if is_locked { &lock } else { "BEGIN" }).await.unwrap();
            let appends = other.clone();
            let append =
                tokio::spawn(async move { appends.append(&a_stream(), ExpectedVersion::Any, events(count)).await });
            let waiting = i64::from(is_locked);
            until(async || raw.query_one(&waits, &[]).await.unwrap().get::<_, i64>(0) == waiting).await;
            raw.batch_execute("COMMIT").await.unwrap();
            append.await.unwrap().unwrap();
            let woken = tokio::time::timeout(Duration::from_secs(20), woken).await;
            woken.expect("it is told").unwrap();
        }
    });
}

/// What was connected for a caller in a runtime of its own was driven there: when that stood still, so did whoever was
/// lent the connection next, and nobody was told of appends any more.
#[test]
fn a_callers_runtime_that_stands_still_holds_up_nobody() {
    run(async {
        let schema = services::a_schema();
        let options = options(&schema).polling_interval(Duration::from_hours(1));
        let address = format!("{}?application_name={schema}", services::postgres());
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let (has_asked, asked) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel();
        let caller = store.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let head = caller.head().await.unwrap();
                assert_eq!(caller.changed(head).now_or_never(), None);
            });
            has_asked.send(()).unwrap();
            released.recv().unwrap();
        });
        asked.await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        listening(&raw, &schema).await;
        let own = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        assert_eq!(store.head().await.unwrap(), own);
        let other = open_in(&schema).await;
        let waiter = tokio::spawn(async move { store.changed(own).await });
        other.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
        waiter.await.unwrap();
        release.send(()).unwrap();
        thread.join().unwrap();
    });
}

/// The server ended the connection that listens as often as one that nobody uses.
#[test]
fn a_server_that_ends_idle_sessions_does_not_end_the_one_that_listens() {
    run(async {
        let (address, schema) = (services::postgres(), services::a_schema());
        let idles = "options=-c%20idle_session_timeout%3D1500";
        let options = options(&schema).polling_interval(Duration::from_hours(1));
        let of_its_own = format!("{address}?application_name={schema}&{idles}");
        let store = PostgresStore::connect_with(&of_its_own, options).await.unwrap();
        let waiter = tokio::spawn(async move { store.changed(Position::START).await });
        let raw = services::raw(&address).await;
        listening(&raw, &schema).await;
        let before = listeners(&raw, &schema).await;
        let idle = services::raw(&format!("{address}?{idles}")).await;
        until(async || idle.is_closed()).await;
        assert_eq!(listeners(&raw, &schema).await, before);
        open_in(&schema).await.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
        waiter.await.unwrap();
    });
}

/// Where no connection can be made that listens, whoever waits looks himself, on one that was there.
#[test]
fn who_cannot_listen_looks() {
    run(async {
        let schema = services::a_schema();
        let options = options(&schema).polling_interval(Duration::from_millis(50));
        let (proxy, waiting) = behind(&services::postgres(), options, 1).await;
        let other = open_in(&schema).await;
        let mut subscription = waiting.subscribe(waiting.head().await.unwrap());
        proxy.refuse();
        let appended = async {
            // It waits by now, since it has tried to listen.
            until(async || proxy.refused() > 0).await;
            let event = events(1);
            let id = event[0].id;
            other.append(&a_stream(), ExpectedVersion::Any, event).await.unwrap();
            id
        };
        let both = async { tokio::join!(subscription.next(), appended) };
        let (shown, id) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it is shown");
        assert_eq!(shown.unwrap().id, id);
    });
}

/// Ends the connection that listens.
pub(super) const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 \
    AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock')";

pub(super) const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 \
    AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted)";

/// The server's processes for the connections of the application that listen.
pub(super) async fn listeners(raw: &tokio_postgres::Client, application: &str) -> Vec<i32> {
    let listeners = raw.query(&LISTENERS.replace("count(*)", "pid"), &[&application]).await.unwrap();
    listeners.iter().map(|row| row.get(0)).collect()
}

/// Waits until a connection of the application listens.
pub(super) async fn listening(raw: &tokio_postgres::Client, application: &str) {
    until(async || raw.query_one(LISTENERS, &[&application]).await.unwrap().get::<_, i64>(0) > 0).await;
}

/// Waits until none does any more, or already another one.
pub(super) async fn gone(raw: &tokio_postgres::Client, application: &str) {
    let killed =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%advisory_lock_shared%'";
    until(async || raw.query_one(killed, &[&application]).await.unwrap().get::<_, i64>(0) <= 1).await;
}

/// Of appends that are made together, one that the server refuses fails alone.
#[test]
fn a_refused_append_does_not_undo_its_neighbours() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let raw = services::raw(&services::postgres()).await;
        let refuse = "CREATE FUNCTION {0}.refuse() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN RAISE EXCEPTION ''not this one'' USING ERRCODE = ''check_violation''; END';
            CREATE TRIGGER refuse BEFORE INSERT ON {0}.events FOR EACH ROW
                WHEN (NEW.stream_id LIKE 'Refused-%' AND NEW.version = 2) EXECUTE FUNCTION {0}.refuse();
            BEGIN; SELECT pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{0}.events'::regclass::oid::bigint)";
        raw.batch_execute(&refuse.replace("{0}", &schema)).await.unwrap();
        let mut appends = Vec::new();
        for number in 0..64 {
            let id = uuid::Uuid::now_v7();
            let stream = StreamId::new(if number % 8 == 3 { "Refused" } else { "Order" }, id);
            let store = store.clone();
            appends.push(Box::pin(async move { store.append(&stream, ExpectedVersion::Any, events(2)).await }));
        }
        // All of them have asked before the first is under way.
        for append in &mut appends {
            assert!(futures_util::poll!(append).is_pending());
        }
        raw.batch_execute("COMMIT").await.unwrap();
        for (number, appended) in futures_util::future::join_all(appends).await.into_iter().enumerate() {
            match appended {
                Ok(_) => assert_ne!(number % 8, 3),
                Err(error) => {
                    assert_eq!((number % 8, error.error_type()), (3, "refused"), "{error}");
                }
            }
        }
        assert_eq!(store.head().await.unwrap(), 64 / 8 * 7 * 2);
    });
}

/// The server called its keys otherwise than the store expected: an append that another process was ahead of failed, as
/// if there were something wrong with the event.
#[test]
fn a_schema_in_which_the_names_of_its_keys_are_taken_serves_several() {
    run(async {
        let (schema, raw) = (services::a_schema(), services::raw(&services::postgres()).await);
        let taken = "CREATE SCHEMA {0}; CREATE TABLE {0}.old_events (a int CONSTRAINT events_pkey PRIMARY KEY,
            b int CONSTRAINT events_stream_id_version_key UNIQUE, c int CONSTRAINT events_event_id_key UNIQUE)";
        raw.batch_execute(&taken.replace("{0}", &schema)).await.unwrap();
        let store = open_in(&schema).await;
        let ahead = at_once(&schema, a_stream().as_str(), uuid::Uuid::now_v7())[0].clone();
        raw.batch_execute(&format!("BEGIN; {ahead}")).await.unwrap();
        let append = tokio::spawn(async move { store.append(&a_stream(), ExpectedVersion::Any, events(1)).await });
        let other = services::raw(&services::postgres()).await;
        let waits =
            format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{schema}%'");
        until(async || other.query_one(&waits, &[]).await.unwrap().get::<_, i64>(0) == 1).await;
        raw.batch_execute("COMMIT").await.unwrap();
        assert_eq!(append.await.unwrap().unwrap().position, 2);
    });
}

#[test]
fn events_are_neither_changed_nor_deleted() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        for sql in ["UPDATE {}.events SET version = 7", "DELETE FROM {}.events", "TRUNCATE {}.events"] {
            let error = raw.batch_execute(&sql.replace("{}", &schema)).await.unwrap_err();
            assert!(error.as_db_error().unwrap().message().contains("append-only"), "{error}");
        }
    });
}

/// Whatever isolation a database has by default, the store's appends read what was committed before they had the lock.
#[test]
fn a_stricter_default_isolation_changes_nothing() {
    run(async {
        let schema = services::a_schema();
        let address = format!("{}?options=-c%20default_transaction_isolation%3Dserializable", services::postgres());
        let store = PostgresStore::connect_with(&address, options(&schema)).await.unwrap();
        let other = open_in(&schema).await;
        let tasks: Vec<_> = [store.clone(), other.clone(), store.clone(), other]
            .into_iter()
            .map(|store| tokio::spawn(append_many(store)))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(store.head().await.unwrap(), 200);
    });
}
