//! Resets that take longer than a lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionOptions, ProjectionStore};
use eventsource_runtime::store::{PostgresOptions, PostgresStore, PostgresTransaction};
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

/// Its reset goes on until a renewal has waited for it through several of its turns, and counts those that do.
#[derive(Clone, Default)]
struct Slow {
    waiting: Arc<AtomicI64>,
}

#[projection]
impl Slow {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let mut most = 0;
        for turn in 0.. {
            // What is looked at stays the same within a transaction.
            tx.execute_batch("SELECT pg_stat_clear_snapshot(); SELECT pg_sleep(0.1)").await?;
            most = most.max(tx.query_one(waiting, &[]).await?.get(0));
            if most > 0 && turn > 9 {
                break;
            }
        }
        self.waiting.store(most, Ordering::SeqCst);
        Ok(())
    }

    async fn unseen(&self, _event: &Recorded<Unseen>, _tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// One for each part would take connection after connection from everybody else.
#[test]
fn a_long_reset_holds_up_one_connection_and_not_one_for_each_part() {
    run(async {
        let (store, slow) = (open().await, Slow::default());
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let options = ProjectionOptions::default().partitions(PARTS);
        let runner = ProjectionRunner::new(store).projection_with(slow.clone(), options).lease(TERM);
        let projections = runner.rebuild().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(slow.waiting.load(Ordering::SeqCst), 1);
    });
}

/// Its reset goes on until its leases have run out, and another store waits for one of them.
#[derive(Clone, Default)]
struct Longer {
    /// What the other store is called.
    other: String,
    begun: Arc<Notify>,
    done: Arc<AtomicBool>,
}

#[projection]
impl Longer {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.begun.notify_one();
        let (begun, mut is_waited_for) = (Instant::now(), false);
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity \
            WHERE application_name = $1 AND wait_event_type = 'Lock')";
        while !is_waited_for || begun.elapsed() < 2 * TERM {
            tx.execute_batch("SELECT pg_stat_clear_snapshot(); SELECT pg_sleep(0.1)").await?;
            is_waited_for = tx.query_one(waits, &[&self.other]).await?.get(0);
        }
        self.done.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn unseen(&self, _event: &Recorded<Unseen>, _tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Who had waited for its rows had the lease at the commit, since nobody could renew it until then.
#[test]
fn no_lease_is_lost_while_a_read_model_is_emptied_however_long_that_takes() {
    run(async {
        let (schema, name) = (services::a_schema(), format!("waits_{}", Uuid::now_v7().simple()));
        let joint = if services::postgres().contains('?') { '&' } else { '?' };
        let address = format!("{}{joint}application_name={name}", services::postgres());
        let store = open_in(&schema).await;
        let other = PostgresStore::connect_with(&address, PostgresOptions::default().schema(&*schema)).await.unwrap();
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let (longer, options) = (Longer { other: name, ..Longer::default() }, ProjectionOptions::default());
        let runner = ProjectionRunner::new(store).projection_with(longer.clone(), options.partitions(2)).lease(TERM);
        let projections = runner.rebuild().spawn();
        longer.begun.notified().await;
        let part = Partition::all("Longer", 2).nth(1).unwrap();
        // The last one waits when the reset is committed.
        while !longer.done.load(Ordering::SeqCst) {
            let claim = Claim::new(Uuid::now_v7(), "another", TERM);
            assert!(other.lease_projection(part, claim).await.unwrap().taken.is_some());
        }
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
}

/// Their resets go on until they are told to end.
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
