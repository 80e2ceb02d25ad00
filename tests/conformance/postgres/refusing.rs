//! A server that takes no writes for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, PostgresServer};
use serde::{Deserialize, Serialize};

use super::several::{listeners, listening};
use super::{a_stream, events, options};
use crate::messages::until;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Placed")]
struct Placed(u32);

/// Notes events in a table, and counts how often it was to do so.
#[derive(Clone)]
struct Notes {
    schema: String,
    attempts: Arc<AtomicUsize>,
}

#[projection]
impl Notes {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("CREATE TABLE {}.notes (position bigint)", self.schema)).await?)
    }

    async fn placed(&self, event: &Recorded<Placed>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let insert = format!("INSERT INTO {}.notes VALUES ($1)", self.schema);
        tx.execute(&insert, &[&event.position()]).await?;
        Ok(())
    }
}

/// How writes come to be refused, all of them or those of checkpoints, and how they are taken again.
const REFUSALS: [[&str; 2]; 2] = [
    ["ALTER SYSTEM SET default_transaction_read_only = on", "ALTER SYSTEM RESET default_transaction_read_only"],
    [
        "CREATE FUNCTION {}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; \
            CREATE TRIGGER refuse BEFORE UPDATE OF position ON {}.projection_partitions \
            FOR EACH ROW EXECUTE FUNCTION {}.refuse()",
        "DROP TRIGGER refuse ON {}.projection_partitions",
    ],
];

/// What a connection asks for itself, no later default changes.
const INSISTING: &str = "options=-c%20default_transaction_read_only%3Doff";

/// It was held against the events, which policies then skipped, or the projection stopped after two seconds: a server
/// that was about to be replaced was no trouble.
#[test]
fn a_server_that_refuses_writes_for_a_while_loses_no_event() {
    run(async {
        let server = PostgresServer::start();
        for refusal in REFUSALS {
            for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
                refused_for_a_while(&server.address(), refusal, policy).await;
            }
        }
    });
}

/// Connections are to the server to which the name led when they were made. One that took no writes was kept, and lent
/// to every append and every projection, however long another had taken its place.
#[test]
fn a_server_that_takes_no_writes_is_not_held_on_to() {
    run(async {
        let server = PostgresServer::start();
        let (address, schema) = (server.address(), services::a_schema());
        let insisting = format!("{address}?{INSISTING}");
        let writer = PostgresStore::connect_with(&insisting, options(&schema)).await.unwrap();
        let raw = services::raw(&insisting).await;
        // Sessions have it from their beginning to their end.
        raw.batch_execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on").await.unwrap();
        let connect = || PostgresStore::connect_with(&address, options(&schema));
        let (store, follower) = (connect().await.unwrap(), connect().await.unwrap());
        let notes = Notes { schema: schema.clone(), attempts: Arc::default() };
        let projections = ProjectionRunner::new(follower).projection(notes).spawn();
        let append = async || store.append(&a_stream(), ExpectedVersion::Any, events(1)).await;
        append().await.unwrap_err();
        // The read model cannot be set up.
        let refused = "SELECT count(*) FROM pg_stat_activity WHERE query = 'ROLLBACK'";
        until(async || raw.query_one(refused, &[]).await.unwrap().get::<_, i64>(0) > 0).await;
        raw.batch_execute("ALTER ROLE CURRENT_USER RESET default_transaction_read_only").await.unwrap();
        until(async || append().await.is_ok()).await;
        let last = writer.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
}

/// The connection that is told of appends stayed with the server that had been left, where nobody appends any more.
#[test]
fn a_server_that_takes_no_writes_is_not_listened_to() {
    run(async {
        let server = PostgresServer::start();
        let (address, schema) = (server.address(), services::a_schema());
        let insisting = format!("{address}?{INSISTING}");
        let writer = PostgresStore::connect_with(&insisting, options(&schema)).await.unwrap();
        let raw = services::raw(&insisting).await;
        raw.batch_execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on").await.unwrap();
        let of_its_own = format!("{address}?application_name={schema}");
        let options = options(&schema).polling_interval(Duration::from_hours(1));
        let store = PostgresStore::connect_with(&of_its_own, options).await.unwrap();
        let waiting = store.clone();
        let waiter = tokio::spawn(async move { waiting.changed(Position::START).await });
        listening(&raw, &schema).await;
        let left = listeners(&raw, &schema).await;
        assert_eq!(left.len(), 1);
        store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap_err();
        until(async || {
            let listeners = listeners(&raw, &schema).await;
            !listeners.is_empty() && !listeners.contains(&left[0])
        })
        .await;
        writer.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
        waiter.await.unwrap();
    });
}

async fn refused_for_a_while(address: &str, refusal: [&str; 2], policy: OnFailure) {
    let schema = services::a_schema();
    let options = || options(&schema);
    let insisting = format!("{address}?{INSISTING}");
    let writer = PostgresStore::connect_with(&insisting, options()).await.unwrap();
    let raw = services::raw(&insisting).await;
    let [refuse, take] = refusal.map(|sql| sql.replace("{}", &schema));
    let notes = Notes { schema: schema.clone(), attempts: Arc::default() };
    let store = PostgresStore::connect_with(address, options()).await.unwrap();
    let runner = ProjectionRunner::new(store).on_failure(policy).max_retries(0);
    let projections = runner.projection(notes.clone()).spawn();
    let append = async || writer.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
    projections.wait_for(append().await).await.unwrap();
    for sql in [&*refuse, "SELECT pg_reload_conf()"] {
        raw.batch_execute(sql).await.unwrap();
    }
    // The server's processes learn of it when they come to it: until then events are applied.
    let mut appended = 1;
    let refused = async {
        loop {
            let before = notes.attempts.load(Ordering::SeqCst);
            let last = append().await;
            appended += 1;
            tokio::select! {
                () = until(async || notes.attempts.load(Ordering::SeqCst) >= before + 4) => return last,
                applied = projections.wait_for(last) => applied.unwrap(),
            }
        }
    };
    let last = tokio::time::timeout(Duration::from_mins(1), refused).await.expect("it is tried again and again");
    for sql in [&*take, "SELECT pg_reload_conf()"] {
        raw.batch_execute(sql).await.unwrap();
    }
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let kept = raw.query_one(&format!("SELECT count(*) FROM {schema}.notes"), &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), appended, "{policy:?}");
}
