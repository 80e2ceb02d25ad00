//! Futures that are left where they are, or dropped while the server waits: what they held is there for others.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::services;

use super::locked::{Count, Counted, Counter};
use super::{a_stream, events, open_in, options};
use crate::messages::until;

/// How long anything may take that waits for nobody.
const MOST: Duration = Duration::from_secs(20);

/// As `buffer_unordered` leaves them while its loop's body runs: they kept the store's turns, and that body waited for
/// ever.
#[test]
fn appends_that_nobody_polls_hold_up_no_other() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        let streams = [(); 4].map(|()| a_stream());
        let mut left = streams.each_ref().map(|stream| Box::pin(store.append(stream, ExpectedVersion::Any, events(1))));
        for append in &mut left {
            let polled = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending));
        }
        let stream = a_stream();
        let other = tokio::time::timeout(MOST, store.append(&stream, ExpectedVersion::Any, events(1)));
        other.await.expect("it waits for none of them").unwrap();
        for append in left {
            append.await.unwrap();
        }
    });
}

/// How many statements wait for a lock on the schema's tables, for so many milliseconds at least.
async fn waiting(raw: &tokio_postgres::Client, schema: &str, millis: f64) -> i64 {
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation \
        WHERE NOT granted AND relnamespace = $1::text::regnamespace \
        AND clock_timestamp() - waitstart >= $2 * interval '1 millisecond'";
    raw.query_one(waiting, &[&schema, &millis]).await.unwrap().get(0)
}

/// The next load was lent the connection, and waited for the lock with it; so was an append that came alone.
#[test]
fn a_load_that_is_dropped_before_a_locked_snapshot_leaves_no_connection_that_waits() {
    // Not as long as the second after which it gives up by itself: at once, and longer than what is soon answered.
    for (connections, millis) in [(1, 200.0), (1, 0.0), (2, 0.0)] {
        run(async move {
            let schema = services::a_schema();
            let options = options(&schema).connections(connections);
            let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
            let counters = Repository::<Counter, _>::new(store.clone());
            let bus = CommandBus::builder().aggregate(counters.clone()).build();
            bus.dispatch(Count { counter: 1 }).await.unwrap();
            counters.snapshots_written().await;
            let (raw, seen) = (services::raw(&services::postgres()).await, services::raw(&services::postgres()).await);
            raw.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.snapshots")).await.unwrap();
            let dropped = async {
                loop {
                    // One that gives up by itself, as it may on a busy machine, asks for no snapshot for a while.
                    let counters = Repository::<Counter, _>::new(store.clone());
                    tokio::select! {
                        biased;
                        loaded = counters.load(&1) => drop(loaded.unwrap()),
                        () = until(async || waiting(&seen, &schema, millis).await > 0) => return,
                    }
                    until(async || waiting(&seen, &schema, 0.0).await == 0).await;
                }
            };
            tokio::time::timeout(MOST, dropped).await.expect("it waits for the lock");
            let stream = a_stream();
            let appended = tokio::time::timeout(MOST, store.append(&stream, ExpectedVersion::Any, events(1))).await;
            appended.expect("it waits for no lock").unwrap();
            let head = tokio::time::timeout(MOST, store.head()).await.expect("it waits for no lock");
            assert_eq!(head.unwrap(), Position::new(2));
            until(async || waiting(&seen, &schema, 0.0).await == 0).await;
            raw.batch_execute("ROLLBACK").await.unwrap();
        });
    }
}

/// Writes where somebody may have a lock.
struct Rows {
    schema: String,
}

#[projection]
impl Rows {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("CREATE TABLE {}.counts (position bigint)", self.schema)).await?)
    }

    async fn counted(&self, event: &Recorded<Counted>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let position = i64::try_from(event.position().get())?;
        tx.execute(&format!("INSERT INTO {}.counts VALUES ($1)", self.schema), &[&position]).await?;
        Ok(())
    }
}

/// Writes nowhere.
struct Idle;

#[projection]
impl Idle {
    async fn counted(&self, _: &Recorded<Counted>, _: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Its statement waited on, with its transaction open, and whoever was lent the connection next waited behind it.
#[test]
fn a_batch_that_is_given_up_leaves_no_transaction_and_no_connection_that_waits() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let bus = CommandBus::builder().aggregate(Repository::<Counter, _>::new(store.clone())).build();
        let rows = Rows { schema: schema.clone() };
        let projections = ProjectionRunner::new(store.clone()).projection(rows).spawn();
        let first = bus.dispatch(Count { counter: 1 }).await.unwrap();
        projections.wait_for(first.position).await.unwrap();
        let (raw, seen) = (services::raw(&services::postgres()).await, services::raw(&services::postgres()).await);
        raw.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.counts")).await.unwrap();
        let second = bus.dispatch(Count { counter: 1 }).await.unwrap();
        until(async || waiting(&seen, &schema, 0.0).await > 0).await;
        projections.shutdown_within(Duration::ZERO).await.unwrap_err();
        // It is cancelled.
        until(async || waiting(&seen, &schema, 0.0).await == 0).await;
        let others = ProjectionRunner::new(store).projection(Idle).spawn();
        let applied = tokio::time::timeout(MOST, others.wait_for(second.position)).await;
        applied.expect("it waits for no lock").unwrap();
        others.shutdown().await.unwrap();
        raw.batch_execute("ROLLBACK").await.unwrap();
    });
}
