//! What operators are told of the connection on which the server tells of new events.

use std::time::Duration;

use eventsource_runtime::store::{EventStore, ExpectedVersion, Filter, Position, PostgresOptions, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::logged::Log;
use eventsource_tests::services;
use futures_util::FutureExt;

use super::several::{KILL, LISTENERS, gone, listening};
use super::{a_stream, events, open_in};

#[test]
fn a_lost_connection_is_told_once_and_that_it_stands_again() {
    run(async {
        let address = services::postgres();
        // A thread of its own: what is told goes to the subscriber of the thread that the listener runs on.
        std::thread::spawn(move || on_one_thread(&address)).join().unwrap();
    });
}

fn on_one_thread(address: &str) {
    let (told, _guard) = Log::of_thread();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let schema = services::a_schema();
        let options = PostgresOptions::default().schema(&*schema).polling_interval(Duration::from_hours(1));
        let of_its_own = format!("{address}?application_name={schema}");
        let store = PostgresStore::connect_with(&of_its_own, options).await.unwrap();
        let raw = services::raw(address).await;
        let head = store.head().await.unwrap();
        let waiting = store.clone();
        let waiter = tokio::spawn(async move { waiting.changed(head).await });
        listening(&raw, &schema).await;
        assert_eq!(told.names_of("eventsource::store::postgres"), [""; 0], "it is no news that it stands at first");
        assert_eq!(raw.query(KILL, &[&schema]).await.unwrap().len(), 1);
        gone(&raw, &schema).await;
        let expected = ["eventsource.store.postgres.reconnecting", "eventsource.store.postgres.reconnected"];
        for name in expected {
            told.hears(name).await;
        }
        listening(&raw, &schema).await;
        assert_eq!(told.names_of("eventsource::store::postgres"), expected);
        let config: tokio_postgres::Config = address.parse().unwrap();
        let port = config.get_ports().first().copied().unwrap_or(5432);
        assert!(told.says(expected[0], "server.port", port.into()), "of which server");
        waiter.abort();
    });
}

/// A server that took another's place had lost the last commits: whoever waited was woken at once, found nothing, and
/// waited again, without end and without pause.
#[test]
fn a_feed_that_has_lost_its_end_is_waited_for() {
    run(async {
        // Whatever it is that finds nothing.
        for filter in [Some(Filter::all()), Some(Filter::all().event_types(["Placed"])), None] {
            let schema = services::a_schema();
            let options = PostgresOptions::default().schema(&*schema).polling_interval(Duration::from_hours(1));
            let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
            store.append(&a_stream(), ExpectedVersion::Any, events(3)).await.unwrap();
            let raw = services::raw(&services::postgres()).await;
            let lose = "ALTER TABLE {}.events DISABLE TRIGGER USER; DELETE FROM {}.events WHERE position = 3";
            raw.batch_execute(&lose.replace("{}", &schema)).await.unwrap();
            let end = Position::new(2);
            let found = match filter {
                Some(filter) => store.read_all(end, &filter, 10).await.unwrap().scanned,
                None => store.head().await.unwrap(),
            };
            assert_eq!(found, end);
            assert_eq!(store.changed(end).now_or_never(), None);
            store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
            assert_eq!(store.changed(end).now_or_never(), Some(()));
        }
    });
}

/// Somebody else's events that were there before anybody listened, and of which nobody is told any more.
#[test]
fn what_was_appended_before_somebody_listens_is_not_waited_for() {
    run(async {
        let schema = services::a_schema();
        let options = PostgresOptions::default().schema(&*schema).polling_interval(Duration::from_hours(1));
        let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
        open_in(&schema).await.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
        let changed = tokio::time::timeout(Duration::from_secs(20), store.changed(Position::START)).await;
        changed.expect("it listens by then");
    });
}

/// The connection that is told stayed, and was made again whenever it was lost, for as long as there was a handle.
#[test]
fn a_closed_store_listens_no_more() {
    run(async {
        let (address, schema) = (services::postgres(), services::a_schema());
        let options = PostgresOptions::default().schema(&*schema).polling_interval(Duration::from_millis(10));
        let store =
            PostgresStore::connect_with(&format!("{address}?application_name={schema}"), options).await.unwrap();
        let raw = services::raw(&address).await;
        let waiting = store.clone();
        let waiter = tokio::spawn(async move { waiting.changed(Position::START).await });
        listening(&raw, &schema).await;
        store.close();
        waiter.await.unwrap();
        let ended = async {
            while raw.query_one(LISTENERS, &[&schema]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
        store.changed(Position::START).await;
    });
}
