//! Programs that die: what they were told to be stored is there, and has had its effect once.

use std::collections::HashMap;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::mortal::{commit_for_ever, killed};
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::services::{self, repeats};
use uuid::Uuid;

use super::open_in;

/// How often a program is killed here; set to more for a long run.
const KILLS: &str = "EVENTSOURCE_TESTS_CLIENT_KILLS";
/// Names the schema, in the process that is killed.
const CHILD: &str = "EVENTSOURCE_TESTS_CLIENT_DIES";

/// How many events an append has: all of them are stored, or none.
const EVENTS: usize = 3;

/// Counts each event once: a second time, its key would refuse it.
struct Effects {
    schema: String,
}

#[projection]
impl Effects {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let create = format!(
            "CREATE TABLE {0}.effects (id text PRIMARY KEY); CREATE TABLE {0}.total (count bigint); \
            INSERT INTO {0}.total VALUES (0)",
            self.schema
        );
        Ok(tx.execute_batch(&create).await?)
    }

    async fn cancelled(
        &self,
        event: &Recorded<OrderCancelled>,
        tx: &PostgresTransaction<'_>,
    ) -> Result<(), ProjectionError> {
        let event = format!("{} {}", event.aggregate_id(), event.version());
        tx.enqueue(&format!("INSERT INTO {}.effects VALUES ($1)", self.schema), &[&event]).await?;
        Ok(tx.enqueue(&format!("UPDATE {}.total SET count = count + 1", self.schema), &[]).await?)
    }
}

fn runner(store: &PostgresStore, schema: &str) -> ProjectionRunner<PostgresStore> {
    let projection = Effects { schema: schema.to_owned() };
    ProjectionRunner::new(store.clone()).projection(projection).lease(Duration::from_millis(50))
}

#[test]
fn killed_programs_lose_nothing_that_was_acknowledged() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let raw = services::raw(&services::postgres()).await;
        let checkpoint = format!("SELECT position FROM {schema}.projection_partitions WHERE projection = 'Effects'");
        let (mut acknowledged, mut before) = (Vec::new(), 0);
        let kills = repeats(KILLS, 4);
        for kill in 0..kills {
            acknowledged.extend(killed("postgres::killed::dies", &[(CHILD, schema.as_ref())], 1 + kill * 7 % 60));
            let applied: i64 = raw.query_one(&checkpoint, &[]).await.unwrap().get(0);
            assert!(applied > before, "the projection of the program that was killed was at work");
            before = applied;
        }
        verify(&store, &schema, &acknowledged).await;
        println!("{kills} kills, {} acknowledged, lost 0, doubled 0", acknowledged.len());
    });
}

async fn verify(store: &PostgresStore, schema: &str, acknowledged: &[Uuid]) {
    let projections = runner(store, schema).spawn();
    // What was sent before a kill may still be under way on the server; the feed's end is the one that stays.
    let head = loop {
        let head = store.head().await.unwrap();
        projections.wait_for(head).await.unwrap();
        if store.head().await.unwrap() == head {
            break head;
        }
    };
    projections.shutdown().await.unwrap();
    let mut feed = store.feed(Position::START, Filter::all());
    let (mut stored, mut events) = (HashMap::<_, usize>::new(), 0);
    while let Some(event) = feed.next().await.unwrap() {
        events += 1;
        assert_eq!(event.position, events, "positions have no holes");
        *stored.entry(event.stream.aggregate_id().to_owned()).or_default() += 1;
    }
    assert_eq!(head, Position::new(events));
    assert!(stored.values().all(|events| *events == EVENTS), "every append is stored once, with all of its events");
    for order in acknowledged {
        assert!(stored.contains_key(&order.to_string()), "{order} was acknowledged and is gone");
    }
    let raw = services::raw(&services::postgres()).await;
    let sql = format!("SELECT count, (SELECT count(*) FROM {schema}.effects) FROM {schema}.total");
    let row = raw.query_one(&sql, &[]).await.unwrap();
    let (total, effects): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!((total.cast_unsigned(), effects.cast_unsigned()), (events, events), "each has had its effect once");
}

/// Does its work only in the process that the test above starts and kills.
#[test]
fn dies() {
    let Ok(schema) = std::env::var(CHILD) else { return };
    run(async move {
        let store = open_in(&schema).await;
        let projections = runner(&store, &schema).spawn();
        let orders = Repository::<Order, _>::new(store);
        let commit = move |order| {
            let orders = orders.clone();
            async move {
                let cancelled = [(); EVENTS].map(|()| OrderCancelled { reason: "too slow".into() });
                orders.append(&order, ExpectedVersion::NoStream, cancelled).await.unwrap().position
            }
        };
        commit_for_ever(&projections, commit).await;
    });
}
