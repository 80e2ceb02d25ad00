//! Read models that are built in a schema of their own, and moved into the place of the old one.

mod replaced;

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{BuiltElsewhere, Claim, DeadLetters, OnFailure, Partition, ProjectionStore};
use eventsource_runtime::store::{NewEvent, Origin, PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::dice::Dice;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{a_stream, options};
use crate::messages::until;

#[derive(Event, Serialize, Deserialize)]
struct Weighed {
    grams: i64,
}

/// For each stream a count and a sum that tells the order; whatever weighs less than nothing fails. Its tables have no
/// schema, so that they are where the search path leads.
struct Weights {
    /// Writes to a table that its set-up does not make, by its full name.
    elsewhere: Option<String>,
    has_index: bool,
    /// What the set-up does before and after it makes its tables.
    before: String,
    after: String,
}

impl Weights {
    fn sound() -> Self {
        Self { elsewhere: None, has_index: false, before: String::new(), after: String::new() }
    }
}

#[projection]
impl Weights {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(&self.before).await?;
        tx.execute_batch(
            "CREATE TABLE weights (id serial PRIMARY KEY, stream text UNIQUE, count bigint NOT NULL, sum bigint NOT NULL);
             CREATE VIEW heavy AS SELECT stream FROM weights WHERE sum > 1000",
        )
        .await?;
        if self.has_index {
            tx.execute_batch("CREATE INDEX weights_by_sum ON weights (sum)").await?;
        }
        Ok(tx.execute_batch(&self.after).await?)
    }

    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("DELETE FROM weights").await?)
    }

    async fn weighed(&self, event: &Recorded<Weighed>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        if event.grams < 0 {
            return Err(ProjectionError::new("less than nothing"));
        }
        if let Some(table) = &self.elsewhere {
            tx.enqueue(&format!("INSERT INTO {table} VALUES ($1)"), &[&event.grams]).await?;
        }
        let upsert = "INSERT INTO weights AS old (stream, count, sum) VALUES ($1, 1, $2) ON CONFLICT (stream) \
            DO UPDATE SET count = old.count + 1, sum = (old.sum * 31 + excluded.sum) % 1000003";
        Ok(tx.enqueue(upsert, &[&event.stream_id().as_str(), &event.grams]).await?)
    }
}

/// A database of the test's own part of the server: a schema for the store, and one for the read models.
struct Place {
    store: PostgresStore,
    address: String,
    raw: tokio_postgres::Client,
    schema: String,
    tables: String,
}

impl Place {
    async fn new() -> Self {
        Self::at(services::a_schema(), format!("read_{}", Uuid::now_v7().simple())).await
    }

    async fn at(schema: String, tables: String) -> Self {
        Self::with(schema, tables, "").await
    }

    /// With further settings of the sessions.
    async fn with(schema: String, tables: String, settings: &str) -> Self {
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("CREATE SCHEMA {tables}; SET search_path = {tables}")).await.unwrap();
        let joint = if services::postgres().contains('?') { '&' } else { '?' };
        let address = format!("{}{joint}options=-c%20search_path%3D{tables}{settings}", services::postgres());
        let options = options(&schema);
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        Self { store, address, raw, schema, tables }
    }

    fn runner(&self) -> ProjectionRunner<PostgresStore> {
        let runner = ProjectionRunner::new(self.store.clone()).lease(Duration::from_millis(500));
        runner.projection(Weights::sound()).max_retries(0).on_failure(OnFailure::DeadLetter)
    }

    async fn weigh(&self, stream: &StreamId, grams: i64) -> Position {
        let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
        let event = NewEvent::encode(Uuid::now_v7(), &Weighed { grams }, origin).unwrap();
        self.store.append(stream, ExpectedVersion::Any, vec![event]).await.unwrap().position
    }

    /// What the read model holds, and the positions of the dead letters.
    async fn state(&self) -> (Vec<(String, i64, i64)>, Vec<Position>) {
        let rows = self.raw.query("SELECT stream, count, sum FROM weights ORDER BY stream", &[]).await.unwrap();
        let letters = DeadLetters::new(self.store.clone(), Weights::sound()).list(Position::START, 1000).await.unwrap();
        let rows = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        (rows, letters.iter().map(|letter| letter.position).collect())
    }

    /// A mark that no event has made tells the old read model from the one that is built.
    async fn mark(&self) {
        self.raw.batch_execute("UPDATE weights SET sum = -1").await.unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        self.raw.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// Random events, some of which cannot be applied, and random restarts; then, from the first event on, the same again.
#[test]
fn what_is_built_anew_is_what_was_built_live() {
    run(async {
        let seed = Dice::seed();
        let mut dice = Dice(seed);
        for _ in 0..3 {
            let place = Place::new().await;
            let streams: Vec<_> = (0..5).map(|_| a_stream()).collect();
            let mut last = Position::START;
            for _ in 0..=dice.below(4) {
                let projections = place.runner().spawn();
                for _ in 0..=dice.below(100) {
                    let stream = &streams[usize::try_from(dice.below(5)).unwrap()];
                    let grams = if dice.below(40) == 0 { -1 } else { dice.below(1000).cast_signed() };
                    last = place.weigh(stream, grams).await;
                }
                if dice.below(2) == 0 {
                    projections.wait_for(last).await.unwrap();
                }
                projections.shutdown().await.unwrap();
            }
            let projections = place.runner().spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            let live = place.state().await;
            for anew in [place.runner().rebuild(), place.runner().rebuild_aside(), place.runner().rebuild_aside()] {
                place.mark().await;
                let projections = anew.spawn();
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
                assert_eq!(place.state().await, live, "seed {seed}");
            }
        }
    });
}

/// It stopped for good, and whoever waited threw away what was built.
#[test]
fn a_place_that_is_lost_with_its_connection_is_begun_again() {
    run(async {
        let place = Place::new().await;
        let last = place.weigh(&a_stream(), 7).await;
        let projections = place.runner().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        let built = place.state().await;
        place.mark().await;
        let gate = (Uuid::now_v7().as_u64_pair().1 & 0x7fff_ffff).cast_signed();
        place.raw.execute("SELECT pg_advisory_lock($1)", &[&gate]).await.unwrap();
        let before = format!("SELECT pg_advisory_xact_lock({gate})");
        let runner = ProjectionRunner::new(place.store.clone()).projection(Weights { before, ..Weights::sound() });
        let projections = runner.max_retries(0).rebuild_aside().spawn();
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid";
        until_any(&place, &format!("{waiting} = {gate}")).await;
        let held = format!("hashtext('\"{}\".Weights')::bigint & 4294967295", place.schema);
        let end = format!(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks WHERE locktype = 'advisory' \
            AND classid = 1702035461 AND objid::bigint = {held}"
        );
        assert_eq!(place.count(&end).await, 1);
        place.raw.execute("SELECT pg_advisory_unlock($1)", &[&gate]).await.unwrap();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(place.state().await, built, "the new one is in its place");
    });
}

async fn until_any(place: &Place, holds: &str) {
    until(async || place.count(holds).await > 0).await;
}

/// Readers see the old one until the new one is there, with its indexes, its views, and who may read it.
#[test]
fn a_read_model_is_built_aside_while_another_runner_keeps_the_old_one() {
    run(async {
        let place = Place::new().await;
        let stream = a_stream();
        let mut last = Position::START;
        for _ in 0..300 {
            last = place.weigh(&stream, 7).await;
        }
        let old = place.runner().spawn();
        old.wait_for(last).await.unwrap();
        let built = place.state().await;
        place.mark().await;
        place.raw.batch_execute("GRANT SELECT ON weights TO PUBLIC").await.unwrap();
        let projection = Weights { has_index: true, ..Weights::sound() };
        let new = ProjectionRunner::new(place.store.clone()).projection(projection).rebuild_aside().spawn();
        new.wait_for(last).await.unwrap();
        assert_eq!(place.state().await, built, "the new one is in its place");
        for _ in 0..2 {
            last = place.weigh(&stream, 8).await;
            new.wait_for(last).await.unwrap();
            old.wait_for(last).await.unwrap();
        }
        new.shutdown().await.unwrap();
        last = place.weigh(&stream, 9).await;
        old.wait_for(last).await.unwrap();
        old.shutdown().await.unwrap();
        assert_eq!(place.state().await.0[0].1, 303, "neither has lost an event or applied one twice");
        let indexes =
            "SELECT count(*) FROM pg_indexes WHERE indexname = 'weights_by_sum' AND schemaname = current_schema()";
        assert_eq!(place.count(indexes).await, 1);
        assert_eq!(place.count("SELECT count(*) FROM heavy").await, 1);
        let granted = format!(
            "SELECT count(*) FROM information_schema.table_privileges WHERE grantee = 'PUBLIC' AND table_schema = '{}'",
            place.tables
        );
        assert_eq!(place.count(&granted).await, 1);
    });
}

/// Its tables would be the ones that readers see.
#[test]
fn a_projection_that_writes_elsewhere_is_not_built_aside() {
    run(async {
        let place = Place::new().await;
        place.raw.batch_execute("CREATE TABLE log (grams bigint)").await.unwrap();
        let last = place.weigh(&a_stream(), 7).await;
        for table in ["log".to_owned(), format!("{}.log", place.tables)] {
            let projection = Weights { elsewhere: Some(table), ..Weights::sound() };
            let runner = ProjectionRunner::new(place.store.clone()).projection(projection).max_retries(0);
            let stopped = runner.rebuild_aside().spawn().wait_for(last).await.unwrap_err();
            assert!(format!("{stopped:?}").contains("while it is built aside"), "{stopped:?}");
        }
        assert_eq!(place.count("SELECT count(*) FROM log").await, 0);
    });
}

/// What an attempt leaves behind whose process died is removed by the next; while it lives, nobody else builds there.
#[test]
fn one_builds_at_a_time_and_the_next_clears_up() {
    run(async {
        let place = Place::new().await;
        let last = place.weigh(&a_stream(), 7).await;
        let aside = place.store.open_aside("Weights").await.unwrap();
        aside.open_projection(Arc::new(Weights::sound()), 1, Position::START).await.unwrap();
        let error = place.store.open_aside("Weights").await.expect_err("somebody builds there");
        assert!(error.cause().is::<BuiltElsewhere>(), "{error}");
        let keys = format!("SELECT projection FROM {}.projection_partitions", place.schema);
        let key: String = place.raw.query_one(&keys, &[]).await.unwrap().get(0);
        let schema = key.strip_prefix("Weights ").expect("the key tells the schema");
        let there = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'");
        assert_eq!(place.count(&there).await, 1);
        drop(aside);
        let projections = place.runner().rebuild_aside().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(place.count(&there).await, 0);
        let keys: Vec<String> = place.raw.query(&keys, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!((keys, place.state().await.0.len()), (vec!["Weights".to_owned()], 1));
    });
}

/// A runner whose place is taken looks five times a second.
#[test]
fn a_look_whether_a_place_is_free_costs_no_connection() {
    run(async {
        let place = Place::new().await;
        let name = format!("looks_{}", Uuid::now_v7().simple());
        let address = format!("{}&application_name={name}", place.address);
        let options = options(&place.schema);
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let _aside = place.store.open_aside("Weights").await.unwrap();
        let look = async || {
            let error = store.open_aside("Weights").await.expect_err("somebody builds there");
            assert!(error.cause().is::<BuiltElsewhere>(), "{error}");
            let newest = format!(
                "SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' ORDER BY backend_start DESC LIMIT 1"
            );
            place.raw.query_one(&newest, &[]).await.unwrap().get::<_, i32>(0)
        };
        assert_eq!(look().await, look().await);
    });
}

/// As `PostgresOptions::connections` tells whoever counts connections.
#[test]
fn what_is_built_aside_takes_three_connections_more() {
    run(async {
        let place = Place::new().await;
        let name = format!("counted_{}", Uuid::now_v7().simple());
        let address = format!("{}&application_name={name}", place.address);
        let options = options(&place.schema).connections(1);
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        store.open_projection(Arc::new(Weights::sound()), 1, Position::START).await.unwrap();
        let all = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'");
        // One that appends and one that runs projections; what asked whether the server is a pooler may be ending
        // still.
        until(async || place.count(&all).await == 2).await;
        let aside = store.open_aside("Weights").await.unwrap();
        assert_eq!(place.count(&all).await, 3, "what has the lock");
        place.raw.batch_execute("SELECT pg_advisory_lock(1702035462)").await.unwrap();
        let held_up = Weights { before: "SELECT pg_advisory_lock(1702035462)".to_owned(), ..Weights::sound() };
        let held_up = Arc::new(held_up);
        let open = || aside.open_projection(held_up.clone(), 1, Position::START);
        let waiting = async {
            until(async || place.count(&format!("{all} AND wait_event_type = 'Lock'")).await == 2).await;
            place.count(&all).await
        };
        tokio::select! {
            count = waiting => assert_eq!(count, 5),
            opened = async { tokio::join!(open(), open(), open()) } => panic!("nothing held it up: {opened:?}"),
        }
    });
}

/// The server ended the session that keeps the place, in which nothing happens while the read model is built, and it was
/// built from the first event again, for ever.
#[test]
fn a_server_that_ends_idle_sessions_ends_no_build_aside() {
    run(async {
        let idle = "%20-c%20idle_session_timeout%3D1500";
        let place = Place::with(services::a_schema(), format!("read_{}", Uuid::now_v7().simple()), idle).await;
        let last = place.weigh(&a_stream(), 7).await;
        let slow = Weights { before: "SELECT pg_sleep(4)".into(), ..Weights::sound() };
        let built = ProjectionRunner::new(place.store.clone()).projection(slow).rebuild_aside().spawn();
        built.wait_for_within(last, Duration::from_mins(1)).await.unwrap();
        built.shutdown().await.unwrap();
        assert_eq!(place.count("SELECT count(*) FROM weights").await, 1);
    });
}

/// Whoever asked right behind the commit had it, since nobody could renew it until then.
#[test]
fn a_lease_that_has_run_out_in_a_swap_is_not_free_behind_it() {
    run(async {
        let (place, part) = (Place::new().await, Partition::whole("Weights"));
        let ask = async || {
            let claim = Claim::new(Uuid::now_v7(), "a test", Duration::from_mins(1));
            (claim.token, place.store.lease_projection(part, claim).await.unwrap().taken)
        };
        place.store.open_projection(Arc::new(Weights::sound()), 1, Position::START).await.unwrap();
        let (token, before) = ask().await;
        assert_eq!(before, None);
        let aside = place.store.open_aside("Weights").await.unwrap();
        aside.open_projection(Arc::new(Weights::sound()), 1, Position::START).await.unwrap();
        let run_out = format!("UPDATE {}.projection_partitions SET expires = clock_timestamp()", place.schema);
        place.raw.batch_execute(&run_out).await.unwrap();
        place.store.swap_aside("Weights", aside, token).await.unwrap();
        assert!(ask().await.1.is_some(), "it is free");
    });
}
