//! Leases that go from hand to hand.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::store::{PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{a_stream, events, open_in, options};

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Placed")]
struct Placed(u32);

/// Nothing but a name.
struct Idle;

#[projection]
impl Idle {
    fn placed(&self, _: &Recorded<Placed>) {}
}

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1))
}

/// One was given up between the statement that asked for it and the one that looked who has it: nobody, which was taken
/// for whoever asked.
#[test]
fn a_lease_that_is_given_up_while_it_is_asked_for_is_not_had_for_nothing() {
    run(async {
        let schema = services::a_schema();
        let (store, other) = (open_in(&schema).await, open_in(&schema).await);
        let part = Partition::whole("Idle");
        store.open_projection(Arc::new(Idle), 1, Position::START).await.unwrap();
        let passing = tokio::spawn(async move {
            loop {
                let own = claim();
                if other.lease_projection(part, own.clone()).await.unwrap().taken.is_none() {
                    other.lease_projection(part, own.given_up()).await.unwrap();
                }
            }
        });
        let raw = services::raw(&services::postgres()).await;
        let token = format!("SELECT token FROM {schema}.projection_partitions");
        for _ in 0..300 {
            let own = claim();
            while store.lease_projection(part, own.clone()).await.unwrap().taken.is_some() {
                assert!(!passing.is_finished());
            }
            let row = raw.query_one(&token, &[]).await.unwrap();
            assert_eq!(row.get::<_, Option<Uuid>>(0), Some(own.token));
            store.lease_projection(part, own.given_up()).await.unwrap();
        }
        passing.abort();
    });
}

/// No longer than two of the five events take that make a batch.
const TERM: Duration = Duration::from_millis(1500);

/// Takes longer than its lease.
struct Slow {
    schema: String,
}

#[projection]
impl Slow {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("CREATE TABLE {}.slow (position bigint)", self.schema)).await?)
    }

    async fn placed(&self, event: &Recorded<Placed>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("SELECT pg_sleep(0.8)").await?;
        let insert = format!("INSERT INTO {}.slow VALUES ($1)", self.schema);
        tx.execute(&insert, &[&event.position()]).await?;
        Ok(())
    }
}

/// Renewals waited for the connection of the batch that the lease was to outlive: each runner took it from the other.
#[test]
fn a_lease_outlives_a_batch_that_has_the_only_connection() {
    run(async {
        let (schema, mut runners, mut last) = (services::a_schema(), Vec::new(), Position::START);
        for number in 0..2 {
            let options = options(&schema).connections(1);
            let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
            if number == 0 {
                last = store.append(&a_stream(), ExpectedVersion::NoStream, events(5)).await.unwrap().position;
            }
            let runner = ProjectionRunner::new(store).lease(TERM);
            runners.push(runner.projection(Slow { schema: schema.clone() }).spawn());
        }
        for runner in &runners {
            runner.wait_for_within(last, Duration::from_mins(2)).await.unwrap();
        }
        for runner in runners {
            runner.shutdown().await.unwrap();
        }
        let raw = services::raw(&services::postgres()).await;
        let kept = raw.query_one(&format!("SELECT count(*) FROM {schema}.slow"), &[]).await.unwrap();
        assert_eq!(kept.get::<_, i64>(0), 5, "each once");
    });
}

/// After a failover to a server whose clock was a day behind nobody ran the projection for a day.
#[test]
fn a_lease_of_a_clock_that_was_set_back_is_free() {
    run(async {
        let schema = services::a_schema();
        let (store, part) = (open_in(&schema).await, Partition::whole("Idle"));
        store.open_projection(Arc::new(Idle), 1, Position::START).await.unwrap();
        let (brief, day) = (Duration::from_secs(5), Duration::from_hours(24));
        let taken = async |term| {
            let claim = Claim::new(Uuid::now_v7(), "a test", term);
            store.lease_projection(part, claim).await.unwrap().taken
        };
        assert_eq!(taken(brief).await, None);
        let raw = services::raw(&services::postgres()).await;
        let set_back = async |by: &str| {
            let sql = format!("UPDATE {schema}.projection_partitions SET expires = expires + interval '{by}'");
            raw.batch_execute(&sql).await.unwrap();
        };
        set_back("20 minutes").await;
        assert!(taken(brief).await.is_some(), "somebody may have asked for so long a lease");
        set_back("1 day").await;
        assert!(taken(day).await.is_some(), "as who asks does");
        assert_eq!(taken(brief).await, None);
    });
}

/// Who empties a read model keeps the row locked for as long as that takes.
#[test]
fn a_lease_that_has_run_out_in_a_locked_row_is_asked_for_once_a_second() {
    run(async {
        let schema = services::a_schema();
        let (store, part) = (open_in(&schema).await, Partition::whole("Idle"));
        store.open_projection(Arc::new(Idle), 1, Position::START).await.unwrap();
        assert_eq!(store.lease_projection(part, claim()).await.unwrap().taken, None);
        let raw = services::raw(&services::postgres()).await;
        let table = format!("{schema}.projection_partitions");
        raw.batch_execute(&format!("UPDATE {table} SET expires = 'epoch'")).await.unwrap();
        raw.batch_execute(&format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await.unwrap();
        let taken = store.lease_projection(part, claim()).await.unwrap().taken;
        assert_eq!(taken.map(|taken| taken.left), Some(Duration::from_secs(1)));
        raw.batch_execute("COMMIT").await.unwrap();
        assert_eq!(store.lease_projection(part, claim()).await.unwrap().taken, None);
    });
}

/// Its name is text like any other.
struct Templated;

#[projection(name = "it's {schema} \\ {}")]
impl Templated {
    fn placed(&self, _: &Recorded<Placed>) {}
}

/// The name of the store's schema was put into it where its checkpoint was moved, and only there: no batch found the
/// lease that it was sent under.
#[test]
fn a_projection_may_have_any_name() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        let projections = ProjectionRunner::new(store.clone()).projection(Templated).spawn();
        let last = store.append(&a_stream(), ExpectedVersion::NoStream, events(3)).await.unwrap().position;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
}

/// The server refused the text, which was waited for as if it were in trouble.
#[test]
fn the_owner_of_a_lease_may_call_itself_anything() {
    run(async {
        let (store, part) = (open_in(&services::a_schema()).await, Partition::whole("Idle"));
        store.open_projection(Arc::new(Idle), 1, Position::START).await.unwrap();
        let owned = Claim::new(Uuid::now_v7(), "a\0b", Duration::from_mins(1));
        assert_eq!(store.lease_projection(part, owned).await.unwrap().taken, None);
        let taken = store.lease_projection(part, claim()).await.unwrap().taken.unwrap();
        assert_eq!(taken.owner, "a\u{fffd}b");
    });
}
