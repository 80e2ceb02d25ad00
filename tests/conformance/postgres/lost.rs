//! Answers that are lost after the server has committed.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, NewEvent, Origin, PostgresOptions, PostgresStore, StreamId, Version,
};
use eventsource_runtime::testing::run;
use eventsource_tests::proxy::Proxy;
use eventsource_tests::services::{self, PostgresServer, repeats};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use uuid::Uuid;

use super::{a_stream, events, open_in, options};
use crate::messages::until;

/// How many answers are lost here; set to more for a long run.
const LOST: &str = "EVENTSOURCE_TESTS_LOST_ANSWERS";

/// Appends through a network that loses one answer of 23 with its connection: each is acknowledged in the end, and
/// stored once, whether its answer was lost or not.
#[test]
fn an_append_whose_answer_is_lost_is_stored_once_and_acknowledged() {
    run(async {
        let schema = services::a_schema();
        let direct = open_in(&schema).await;
        let (proxy, store) = behind_a_proxy(&schema).await;
        let wanted = repeats(LOST, 100);
        proxy.lose(true);
        let mut round = 0;
        while proxy.lost() < wanted {
            round += 1;
            let tasks =
                (0..8).map(|task| tokio::spawn(append_some(store.clone(), direct.clone(), 1 + (round + task) % 3)));
            for task in tasks.collect::<Vec<_>>() {
                let (stream, ids) = task.await.unwrap();
                assert_eq!(stored(&direct, &stream).await, ids, "each is stored once");
            }
        }
        proxy.lose(false);
    });
}

/// What was acknowledged of one stream: each append as made now, whatever was asked of the server meanwhile.
async fn append_some(store: PostgresStore, direct: PostgresStore, each: usize) -> (StreamId, Vec<Uuid>) {
    let (stream, mut ids) = (a_stream(), Vec::new());
    for number in 0..5 {
        let batch = events(each);
        let seen = ExpectedVersion::Exact(Version::new((number * each) as u64));
        // A connection that was not even made is the caller's to try again; nothing was sent.
        let appended = loop {
            match store.append(&stream, seen, batch.clone()).await {
                Ok(appended) => break appended,
                Err(error) => {
                    assert_eq!(error.error_type(), "backend", "{error:?}");
                    assert_eq!(stored(&direct, &stream).await, ids, "nothing was sent: {error:?}");
                }
            }
        };
        assert_eq!((appended.version.get(), appended.repeated), (((number + 1) * each) as u64, false));
        ids.extend(batch.iter().map(|event| event.id));
    }
    (stream, ids)
}

async fn stored(store: &PostgresStore, stream: &StreamId) -> Vec<Uuid> {
    let events = store.read_stream(stream, Version::START, 1000).await.unwrap();
    events.iter().map(|event| event.id).collect()
}

pub(super) async fn behind_a_proxy(schema: &str) -> (Proxy, PostgresStore) {
    behind(&services::postgres(), PostgresOptions::default().schema(schema), 23).await
}

/// A proxy before the server at an address, which loses one answer of so many, and a store through it.
pub(super) async fn behind(address: &str, options: PostgresOptions, one_of: usize) -> (Proxy, PostgresStore) {
    let config: Config = address.parse().unwrap();
    let Some(Host::Tcp(host)) = config.get_hosts().first() else { panic!("the server is reached by TCP") };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let server = (host.as_str(), port).to_socket_addrs().unwrap().next().unwrap();
    let proxy = Proxy::before(server, one_of).await;
    let through = address.replace(&format!("{host}:{port}"), &proxy.address().to_string());
    assert_ne!(through, address, "the address names host and port");
    let store = PostgresStore::connect_with(&through, options).await.unwrap();
    (proxy, store)
}

/// The first server that did not take writes ended the search: the caller was told that nobody knows.
#[test]
fn an_append_in_doubt_waits_for_a_server_that_takes_writes_again() {
    run(async {
        let server = PostgresServer::start();
        for _ in 0..5 {
            if waits_for_writes(&server).await {
                return;
            }
        }
        panic!("each time the search had ended before the server took writes again");
    });
}

/// Whether it was waited for; not on a machine that was busy for as long as is searched.
async fn waits_for_writes(server: &PostgresServer) -> bool {
    /// It is searched for ten seconds.
    const SEARCHED: Duration = Duration::from_secs(8);
    let schema = services::a_schema();
    // What a connection asks for itself, no later default changes.
    let raw = services::raw(&format!("{}?options=-c%20default_transaction_read_only%3Doff", server.address())).await;
    let (proxy, store) = behind(&server.address(), options(&schema), 1).await;
    // It has its statement prepared.
    store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
    let (stream, appended) = (a_stream(), events(1));
    let id = appended[0].id;
    proxy.lose(true);
    let append = tokio::spawn({
        let (store, stream) = (store.clone(), stream.clone());
        async move { store.append(&stream, ExpectedVersion::NoStream, appended).await }
    });
    until(async || proxy.lost() > 0).await;
    let lost = Instant::now();
    for sql in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        raw.batch_execute(sql).await.unwrap();
    }
    let shown = async || {
        let new = services::raw(&server.address()).await;
        let row = new.query_one("SHOW default_transaction_read_only", &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    until(async || shown().await == "on").await;
    let before = proxy.asked();
    proxy.lose(false);
    // A connection is made, and the append is refused on it, more than once.
    until(async || proxy.asked() >= before + 6 || append.is_finished()).await;
    for sql in ["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"] {
        raw.batch_execute(sql).await.unwrap();
    }
    match append.await.unwrap() {
        Ok(appended) => {
            assert_eq!(appended.version, Version::new(1));
            assert_eq!(stored(&store, &stream).await, [id]);
            true
        }
        Err(error) => {
            assert!(lost.elapsed() > SEARCHED, "{error:?}");
            until(async || shown().await == "off").await;
            false
        }
    }
}

/// It said that the store was closed, as if nothing had been sent.
#[test]
fn an_append_in_doubt_whose_store_is_closed_may_have_been_made() {
    run(async {
        let (proxy, store) = behind(&services::postgres(), options(&services::a_schema()), 1).await;
        // It has its statement prepared.
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
        proxy.lose(true);
        let appends = store.clone();
        let append = tokio::spawn(async move { appends.append(&a_stream(), ExpectedVersion::Any, events(1)).await });
        until(async || proxy.lost() > 0).await;
        store.close();
        let error = append.await.unwrap().unwrap_err();
        assert_eq!(error.error_type(), "backend");
        assert!(error.to_string().contains("it may have been made"), "{error}");
    });
}

/// Another dispatch of the same command had appended them: behind an event that this one had not seen, or at the very
/// version that it expected, where they are told apart by when they were recorded. They were taken for made now.
#[test]
fn an_append_in_doubt_that_somebody_else_made_is_repeated() {
    for (unseen, later) in [(1, 0), (0, 1)] {
        run(async move {
            let schema = services::a_schema();
            let direct = open_in(&schema).await;
            let (proxy, store) = behind(&services::postgres(), options(&schema), 1).await;
            // It has its statement prepared.
            store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
            let (stream, theirs) = (a_stream(), events(1));
            for batch in [events(unseen), theirs.clone()] {
                direct.append(&stream, ExpectedVersion::Any, batch).await.unwrap();
            }
            let ours = theirs.into_iter().map(|event| {
                let recorded_at = Timestamp::from_micros(event.origin.recorded_at.as_micros() + later);
                NewEvent { origin: Arc::new(Origin { recorded_at, ..Origin::clone(&event.origin) }), ..event }
            });
            let ours = ours.collect();
            proxy.lose(true);
            let append = tokio::spawn(async move { store.append(&stream, ExpectedVersion::NoStream, ours).await });
            until(async || proxy.lost() > 0).await;
            proxy.lose(false);
            let appended = append.await.unwrap().unwrap();
            assert_eq!((appended.version.get(), appended.repeated), (unseen as u64 + 1, true));
        });
    }
}
