//! Resets that take longer than a lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionOptions, ProjectionStore};
use eventsource_runtime::store::{NewEvent, Origin, PostgresOptions, PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{a_stream, events, open, open_in};

const TERM: Duration = Duration::from_millis(600);
const PARTS: u32 = 6;

#[derive(Event, Serialize, Deserialize)]
struct Unseen;

/// Its reset goes on through several renewals, and counts those that wait for it.
#[derive(Clone, Default)]
struct Slow {
    waiting: Arc<AtomicI64>,
}

#[projection]
impl Slow {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let begun = Instant::now();
        while begun.elapsed() < 2 * TERM {
            // What is looked at stays the same within a transaction.
            tx.execute_batch("SELECT pg_stat_clear_snapshot(); SELECT pg_sleep(0.1)").await?;
            self.waiting.fetch_max(tx.query_one(waiting, &[]).await?.get(0), Ordering::SeqCst);
        }
        Ok(())
    }

    async fn unseen(&self, _event: &Recorded<Unseen>, _tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Each renewal that waits would take a connection from everybody else's.
#[test]
fn a_long_reset_holds_up_no_renewal() {
    run(async {
        let (store, slow) = (open().await, Slow::default());
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let options = ProjectionOptions::default().partitions(PARTS);
        let runner = ProjectionRunner::new(store).projection_with(slow.clone(), options).lease(TERM);
        let projections = runner.rebuild().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(slow.waiting.load(Ordering::SeqCst), 0);
    });
}

/// Its reset goes on until its leases have run out.
#[derive(Clone, Default)]
struct Longer {
    begun: Arc<Notify>,
}

#[projection]
impl Longer {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.begun.notify_one();
        let begun = Instant::now();
        while begun.elapsed() < 2 * TERM {
            tx.execute_batch("SELECT pg_sleep(0.1)").await?;
        }
        Ok(())
    }

    async fn unseen(&self, _event: &Recorded<Unseen>, _tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Whoever asked right behind the commit had the lease, since nobody could renew it until then.
#[test]
fn no_lease_is_lost_while_a_read_model_is_emptied_however_long_that_takes() {
    run(async {
        let schema = services::a_schema();
        let (store, other) = (open_in(&schema).await, open_in(&schema).await);
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let (longer, options) = (Longer::default(), ProjectionOptions::default().partitions(2));
        let projections =
            ProjectionRunner::new(store).projection_with(longer.clone(), options).lease(TERM).rebuild().spawn();
        longer.begun.notified().await;
        let part = Partition::all("Longer", 2).nth(1).unwrap();
        // Right behind the commit, too.
        let asking = async {
            loop {
                let claim = Claim::new(Uuid::now_v7(), "another", TERM);
                assert!(other.lease_projection(part, claim).await.unwrap().taken.is_some());
            }
        };
        tokio::select! {
            () = asking => {}
            caught_up = projections.wait_for(last) => caught_up.unwrap(),
        }
        projections.shutdown().await.unwrap();
    });
}

/// Their resets go on until they are told to end, and are told so for good: one whose transaction the server ended comes
/// again.
#[derive(Clone, Default)]
struct One {
    begun: Arc<Notify>,
    ends: Arc<Notify>,
}

#[derive(Clone, Default)]
struct Another(One);

#[projection]
impl One {
    #[projection(reset)]
    async fn clear(&self) {
        self.begun.notify_one();
        self.ends.notified().await;
        self.ends.notify_one();
    }

    async fn unseen(&self, _event: &Recorded<Unseen>) {}
}

#[projection]
impl Another {
    #[projection(reset)]
    async fn clear(&self) {
        self.0.clear().await;
    }

    async fn unseen(&self, _event: &Recorded<Unseen>) {}
}

struct Idle;

#[projection]
impl Idle {
    async fn unseen(&self, _event: &Recorded<Unseen>) {}
}

/// The renewals of each waited on a connection until it was done, and nobody else's had one.
#[test]
fn read_models_that_are_emptied_keep_nobody_from_renewing_leases() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let idle = ProjectionRunner::new(store.clone()).projection(Idle).lease(TERM).patience(Duration::ZERO).spawn();
        idle.wait_for(last).await.unwrap();
        let (one, another) = (One::default(), Another::default());
        let runner = ProjectionRunner::new(store).projection(one.clone()).projection(another.clone()).lease(TERM);
        let emptied = runner.rebuild().spawn();
        tokio::join!(one.begun.notified(), another.0.begun.notified());
        let raw = services::raw(&services::postgres()).await;
        let waiting =
            format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{schema}%'");
        let expires = format!("SELECT expires::text FROM {schema}.projection_partitions WHERE projection = 'Idle'");
        let renewals = async {
            let (mut renewals, mut before) = (0, String::new());
            while renewals < 5 {
                let expires: String = raw.query_one(&expires, &[]).await.unwrap().get(0);
                let waiting: i64 = raw.query_one(&waiting, &[]).await.unwrap().get(0);
                assert_eq!(waiting, 0, "nobody waits for what is locked meanwhile");
                renewals += usize::from(expires != std::mem::replace(&mut before, expires.clone()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = renewals => {}
            stopped = idle.stopped() => panic!("{stopped:?}"),
        }
        one.ends.notify_one();
        another.0.ends.notify_one();
        emptied.wait_for(last).await.unwrap();
        emptied.shutdown().await.unwrap();
        idle.shutdown().await.unwrap();
    });
}

async fn unseen(store: &PostgresStore) -> Position {
    let event = NewEvent::encode(Uuid::now_v7(), &Unseen, Arc::new(Origin::at(Timestamp::from_micros(1)))).unwrap();
    store.append(&a_stream(), ExpectedVersion::Any, vec![event]).await.unwrap().position
}

/// For how long somebody waits for a connection.
const WAITS: Duration = Duration::from_secs(3);

/// A store with one connection for projections, for which nobody waits for long.
async fn narrow(schema: &str) -> PostgresStore {
    let options = PostgresOptions::default().schema(schema).connections(1).connect_timeout(WAITS);
    PostgresStore::connect_with(&services::postgres(), options).await.unwrap()
}

/// That counted as trouble of the store: when it had lasted for longer than their patience, they stopped for good.
#[test]
fn read_models_that_are_emptied_end_no_projection_that_waits_for_a_connection() {
    run(async {
        let schema = services::a_schema();
        let (store, one) = (narrow(&schema).await, One::default());
        let idle = ProjectionRunner::new(store.clone()).projection(Idle).lease(TERM);
        let idle = idle.patience(Duration::from_secs(1)).spawn();
        idle.wait_for(unseen(&store).await).await.unwrap();
        let emptied = ProjectionRunner::new(store.clone()).projection(one.clone()).lease(TERM).rebuild().spawn();
        one.begun.notified().await;
        let last = unseen(&store).await;
        let raw = services::raw(&services::postgres()).await;
        let expires = format!("SELECT expires::text FROM {schema}.projection_partitions WHERE projection = 'Idle'");
        let renewals = async {
            let (mut renewals, mut before, begun) = (0, String::new(), Instant::now());
            // It has waited in vain so often that its patience would be at an end.
            while renewals < 20 || begun.elapsed() < 3 * WAITS {
                let expires: String = raw.query_one(&expires, &[]).await.unwrap().get(0);
                renewals += usize::from(expires != std::mem::replace(&mut before, expires.clone()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = renewals => {}
            stopped = idle.stopped() => panic!("{stopped:?}"),
        }
        one.ends.notify_one();
        idle.wait_for(last).await.unwrap();
        emptied.wait_for(last).await.unwrap();
        emptied.shutdown().await.unwrap();
        idle.shutdown().await.unwrap();
    });
}

/// Whoever opened the projection waited for its rows until the reset was done, with a connection that others needed.
#[test]
fn who_opens_a_projection_that_is_emptied_keeps_no_connection() {
    run(async {
        let schema = services::a_schema();
        let (store, other, one) = (narrow(&schema).await, open_in(&schema).await, One::default());
        let emptied = ProjectionRunner::new(other).projection(one.clone()).rebuild().spawn();
        one.begun.notified().await;
        store.open_projection(Arc::new(One::default()), 1, Position::START).await.unwrap();
        one.ends.notify_one();
        emptied.wait_for(Position::START).await.unwrap();
        emptied.shutdown().await.unwrap();
    });
}
