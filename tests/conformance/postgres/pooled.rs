//! A pooler between the store and the server.

mod pooler;

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::{LastEvent, Schema, StoredSnapshot};
use eventsource_runtime::store::{PostgresOptions, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::proxy::Proxy;
use eventsource_tests::services;
use pooler::{Lends, Pooler};
use tokio_postgres::Client;

use super::{a_stream, events, options};

#[test]
fn a_pooler_in_session_mode_is_not_to_be_seen() {
    run(async {
        let (pooler, address) = Pooler::before(&services::postgres(), Lends::Sessions).await;
        program(&address, &services::a_schema()).await;
        assert!(pooler.all_given_back().await > 0, "it went through the pooler");
    });
}

/// What depends on a session: prepared statements and their plans, notifications, locks and settings.
async fn program(address: &str, schema: &str) {
    // Where notifications do not come nothing is seen for an hour.
    let options = || options(schema).polling_interval(Duration::from_hours(1));
    let writer = PostgresStore::connect_with(address, options()).await.unwrap();
    let reader = PostgresStore::connect_with(address, options()).await.unwrap();
    let (stream, before) = (a_stream(), reader.head().await.unwrap());
    let mut subscription = reader.subscribe(before);
    for version in 1..=20 {
        let append = writer.append(&stream, ExpectedVersion::Exact(Version::new(version - 1)), events(1));
        let (appended, seen) = tokio::join!(append, subscription.next());
        assert_eq!(
            (appended.unwrap().version, seen.unwrap().position.get()),
            (Version::new(version), before.get() + version)
        );
    }
    let loaded = reader.read_stream(&stream, Version::START, 100).await.unwrap();
    assert_eq!(loaded.len(), 20);
    let last = LastEvent { version: loaded[19].version, position: loaded[19].position, id: loaded[19].id };
    let snapshot = StoredSnapshot::new(stream.clone(), last, Schema { version: 1, hash: 1 }, "{}".into());
    writer.save_snapshot(snapshot.clone()).await.unwrap();
    assert_eq!(reader.latest_snapshot(&stream).await.unwrap(), Some(snapshot));
    writer.close();
    reader.close();
}

/// An error with its causes.
fn said(error: &StoreError) -> String {
    let causes = successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whichever of its connections it lends, and however many it has.
#[test]
fn a_pooler_in_transaction_mode_is_refused_with_what_to_do() {
    run(async {
        for lends in [Lends::Transactions, Lends::TransactionsInTurn] {
            for others in 0..5 {
                let (_pooler, address) = Pooler::before(&services::postgres(), lends).await;
                let _others = lent(&address, others).await;
                let options = options(&services::a_schema());
                let error = PostgresStore::connect_with(&address, options).await.expect_err("it is refused");
                let said = said(&error);
                assert!(said.contains("a pooler in transaction mode"), "{lends:?}, {others}: {said}");
                assert!(said.contains("use session mode, or the server itself"), "{said}");
            }
        }
    });
}

/// So many clients of a pooler that have had a connection each, all at the same time.
async fn lent(address: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = services::raw(address).await;
        client.batch_execute("BEGIN").await.unwrap();
        clients.push(client);
    }
    for client in &clients {
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    clients
}

/// It was told of an answer that was lost, and of a server that was too busy to answer.
#[test]
fn a_server_that_is_lost_while_a_store_connects_is_taken_for_no_pooler() {
    run(async {
        let (url, schema) = (services::postgres(), services::a_schema());
        let server = url.split_once('@').unwrap().1.split('/').next().unwrap();
        // Its schema is there, so that there is little to ask for.
        super::open_in(&schema).await.close();
        for answer in 1.. {
            let proxy = Proxy::before(server.parse().unwrap(), answer).await;
            proxy.lose(true);
            let through = url.replacen(server, &proxy.address().to_string(), 1);
            let opened = PostgresStore::connect_with(&through, PostgresOptions::default().schema(&*schema)).await;
            let Err(error) = opened else { break };
            let said = said(&error);
            assert!(!said.contains("pooler"), "answer {answer}: {said}");
        }
    });
}
