//! Tables that somebody else has locked.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{OnFailure, Projection, ProjectionOptions, ProjectionStore};
use eventsource_runtime::store::{PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::logged::Log;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{a_stream, events, open_in, options};
use crate::messages::until;

#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Counted {}

#[derive(Aggregate, Clone, Default, Serialize, Deserialize)]
#[aggregate(id = u32, events(Counted), snapshot(every = 1))]
pub(super) struct Counter {
    pub(super) count: u64,
}

impl Apply<Counted> for Counter {
    fn apply(&mut self, _: Counted) {
        self.count += 1;
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Counter)]
pub(super) struct Count {
    #[command(id)]
    pub(super) counter: u32,
}

#[command_handler]
impl Counter {
    fn count(&self, _: Count) -> Result<Counted, Infallible> {
        Ok(Counted {})
    }
}

/// How often a command is measured, which may take longer on a busy machine.
const TRIES: usize = 5;

/// How long so many commands take, one after the other.
async fn counted(bus: &CommandBus, times: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..times {
        let dispatched = tokio::time::timeout(Duration::from_mins(1), bus.dispatch(Count { counter: 1 })).await;
        dispatched.expect("it does not wait for the lock").unwrap();
    }
    begun.elapsed()
}

/// The snapshot was waited for as long as the lock was held; in other stores it has a second.
#[test]
fn a_snapshot_that_is_not_to_be_had_holds_up_one_command_for_a_second() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let open = || CommandBus::builder().aggregate(Repository::<Counter, _>::new(store.clone())).build();
        counted(&open(), 1).await;
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.snapshots")).await.unwrap();
        // The first of each repository looks for the snapshot for a second: never for less, and once for hardly more.
        let mut tries = Vec::new();
        let bus = loop {
            let bus = open();
            let taken = counted(&bus, 1).await;
            assert!(taken >= Duration::from_secs(1), "{taken:?}");
            tries.push(taken);
            if taken < Duration::from_secs(2) {
                break bus;
            }
            assert!(tries.len() < TRIES, "{tries:?}");
        };
        // Those behind it look for it no more.
        let taken = counted(&bus, 20).await;
        assert!(taken < Duration::from_secs(19), "{taken:?}");
        raw.batch_execute("ROLLBACK").await.unwrap();
        let version = bus.dispatch(Count { counter: 1 }).await.unwrap().version;
        assert_eq!(version, 22 + tries.len() as u64);
    });
}

/// They waited on the connections that read, until none was left to load an aggregate with.
#[test]
fn snapshots_that_cannot_be_written_hold_up_no_command() {
    run(async {
        let schema = services::a_schema();
        let options = options(&schema).connections(2);
        let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
        let counters = Repository::<Counter, _>::new(store);
        let bus = CommandBus::builder().aggregate(counters.clone()).build();
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.snapshots IN EXCLUSIVE MODE")).await.unwrap();
        let begun = Instant::now();
        for counter in 1..=8 {
            bus.dispatch(Count { counter }).await.unwrap();
        }
        // Where two snapshots wait for the lock on the connections that read, they are given up after half a minute.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        counters.snapshots_written().await;
        assert!(!counters.snapshot_exists(&1).await.unwrap(), "they were given up");
        raw.batch_execute("ROLLBACK").await.unwrap();
        bus.dispatch(Count { counter: 1 }).await.unwrap();
        counters.snapshots_written().await;
        assert!(counters.snapshot_exists(&1).await.unwrap());
    });
}

/// What the server cancels has changed nothing: it is not looked for, and the caller is told so.
#[test]
fn an_append_that_the_server_cancels_was_not_made() {
    run(async {
        let schema = services::a_schema();
        open_in(&schema).await;
        let cancels = format!("{}?options=-c%20statement_timeout%3D500", services::postgres());
        let store = PostgresStore::connect_with(&cancels, options(&schema)).await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        // Not the table, for which its preparation would wait.
        raw.batch_execute(&format!("BEGIN; SELECT {schema}.lock_1()")).await.unwrap();
        let error = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap_err();
        assert_eq!(error.error_type(), "backend");
        assert!(error.to_string().contains("nothing was stored"), "{error}");
        raw.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(store.head().await.unwrap(), Position::START);
        store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
    });
}

/// Counts on a table, and waits for its lock no longer than is said; with 0, for as long as it takes.
#[derive(Clone)]
struct Counts {
    schema: String,
    attempts: Arc<AtomicUsize>,
    lock_timeout: &'static str,
    /// Whether the error of the database is wrapped into one of its own.
    wraps: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("counts cannot be kept")]
struct Unkept(#[source] tokio_postgres::Error);

#[projection]
impl Counts {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(&format!("CREATE TABLE {}.counts (position bigint)", self.schema)).await?)
    }

    async fn counted(&self, event: &Recorded<Counted>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        tx.execute_batch(&format!("SET LOCAL lock_timeout = '{}'", self.lock_timeout)).await?;
        let position = i64::try_from(event.position().get())?;
        let insert = format!("INSERT INTO {}.counts VALUES ($1)", self.schema);
        let inserted = tx.execute(&insert, &[&position]).await;
        if self.wraps {
            inserted.map_err(Unkept)?
        } else {
            inserted?
        };
        Ok(())
    }
}

/// It was held against the event, which a policy then skipped: a read model that was locked for a while missed it.
#[test]
fn a_read_model_that_is_locked_loses_no_event() {
    for wraps in [false, true] {
        run(async move {
            let schema = services::a_schema();
            let store = open_in(&schema).await;
            let counts = Counts { schema: schema.clone(), attempts: Arc::default(), lock_timeout: "20ms", wraps };
            let options = ProjectionOptions::default().on_failure(OnFailure::Skip).max_retries(0);
            let runner = ProjectionRunner::new(store.clone()).projection_with(counts.clone(), options);
            let projections = runner.spawn();
            let bus = CommandBus::builder().aggregate(Repository::<Counter, _>::new(store)).build();
            let first = bus.dispatch(Count { counter: 1 }).await.unwrap();
            projections.wait_for(first.position).await.unwrap();
            let raw = services::raw(&services::postgres()).await;
            raw.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.counts")).await.unwrap();
            let counted = bus.dispatch(Count { counter: 1 }).await.unwrap();
            until(async || counts.attempts.load(Ordering::SeqCst) >= 4).await;
            raw.batch_execute("ROLLBACK").await.unwrap();
            projections.wait_for(counted.position).await.unwrap();
            projections.shutdown().await.unwrap();
            let kept = raw.query_one(&format!("SELECT count(*) FROM {schema}.counts"), &[]).await.unwrap();
            assert_eq!(kept.get::<_, i64>(0), 2);
        });
    }
}

/// Its set-up waits until it may go on.
#[derive(Default)]
struct Slow {
    begun: Arc<Notify>,
    goes_on: Arc<Notify>,
}

#[projection]
impl Slow {
    #[projection(setup)]
    async fn create(&self, _: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.begun.notify_one();
        self.goes_on.notified().await;
        Ok(())
    }

    async fn counted(&self, _: &Recorded<Counted>, _: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Projections of one name took turns in all schemas of a database.
#[test]
fn a_set_up_holds_up_none_in_another_schema() {
    run(async {
        let (one, other) = (open_in(&services::a_schema()).await, open_in(&services::a_schema()).await);
        let (waits, runs) = (Slow::default(), Slow::default());
        let (begun, goes_on) = (Arc::clone(&waits.begun), Arc::clone(&waits.goes_on));
        runs.goes_on.notify_one();
        let waits: Arc<dyn Projection<_>> = Arc::new(waits);
        let runs: Arc<dyn Projection<_>> = Arc::new(runs);
        let others = async {
            begun.notified().await;
            let opened = other.open_projection(runs, 1, Position::START);
            let opened = tokio::time::timeout(Duration::from_secs(20), opened).await;
            goes_on.notify_one();
            opened.expect("it waits for nobody").unwrap();
        };
        let (opened, ()) = tokio::join!(one.open_projection(waits, 1, Position::START), others);
        opened.unwrap();
    });
}

/// Each member of the group was tried by itself then, and waited as long again.
#[test]
fn appends_that_wait_for_a_lock_in_vain_do_so_together() {
    run(async {
        let schema = services::a_schema();
        let address = format!("{}?options=-c%20lock_timeout%3D1000", services::postgres());
        let store = PostgresStore::connect_with(&address, options(&schema)).await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        let lock =
            "BEGIN; SELECT pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{}.events'::regclass::oid::bigint)";
        raw.batch_execute(&lock.replace("{}", &schema)).await.unwrap();
        let begun = Instant::now();
        let append = |_| {
            let store = store.clone();
            tokio::spawn(async move { store.append(&a_stream(), ExpectedVersion::Any, events(1)).await })
        };
        let appends: Vec<_> = (0..50).map(append).collect();
        for append in appends {
            append.await.unwrap().unwrap_err();
        }
        // One after the other they would take fifty.
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        raw.batch_execute("ROLLBACK").await.unwrap();
        store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap();
    });
}

/// A transaction that somebody forgot: operators are told whose it is, while appends wait as long as it takes. So they are
/// where it has only read, and somebody waits for it who would change the table, and appends wait for that.
#[test]
fn what_appends_wait_for_is_told() {
    let alters = "BEGIN; LOCK TABLE {}.events; COMMIT";
    for (forgotten, waits) in
        [("LOCK TABLE {}.events IN SHARE MODE", None), ("SELECT count(*) FROM {}.events", Some(alters))]
    {
        run(async move {
            let (schema, log) = (services::a_schema(), Log::of_process());
            let store = open_in(&schema).await;
            let raw = services::raw(&services::postgres()).await;
            raw.batch_execute(&format!("BEGIN; {}", forgotten.replace("{}", &schema))).await.unwrap();
            let pid: i32 = raw.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
            let other = services::raw(&services::postgres()).await;
            let migrated = waits.map(|waits| {
                let waits = waits.replace("{}", &schema);
                tokio::spawn(async move { other.batch_execute(&waits).await })
            });
            let locks = "SELECT count(*) FROM pg_stat_activity WHERE pg_blocking_pids(pid) @> ARRAY[$1::int]";
            let holds_up = async || raw.query_one(locks, &[&pid]).await.unwrap().get::<_, i64>(0) > 0;
            until(async || migrated.is_none() || holds_up().await).await;
            let appended =
                tokio::spawn(async move { store.append(&a_stream(), ExpectedVersion::Any, events(1)).await });
            let name = "eventsource.store.postgres.held_up";
            log.hears(name).await;
            // Others may be held up meanwhile, by what is no transaction too.
            until(async || log.says(name, "eventsource.blocking.pid", pid.into())).await;
            raw.batch_execute("COMMIT").await.unwrap();
            assert_eq!(appended.await.unwrap().unwrap().position, 1);
            if let Some(migrated) = migrated {
                migrated.await.unwrap().unwrap();
            }
        });
    }
}

/// The log told the positions alone. The second transaction has changed the row of the checkpoint, for which
/// the batch waits at its end.
#[test]
fn what_a_batch_waits_for_is_told() {
    for forgotten in ["LOCK TABLE {}.counts", "UPDATE {}.projection_partitions SET owner = owner"] {
        run(async move {
            let (schema, log) = (services::a_schema(), Log::of_process());
            let store = open_in(&schema).await;
            let counts = Counts { schema: schema.clone(), attempts: Arc::default(), lock_timeout: "0", wraps: false };
            let projections = ProjectionRunner::new(store.clone()).projection(counts).spawn();
            let bus = CommandBus::builder().aggregate(Repository::<Counter, _>::new(store)).build();
            let first = bus.dispatch(Count { counter: 1 }).await.unwrap();
            projections.wait_for(first.position).await.unwrap();
            let raw = services::raw(&services::postgres()).await;
            raw.batch_execute(&format!("BEGIN; {}", forgotten.replace("{}", &schema))).await.unwrap();
            let pid: i32 = raw.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
            let counted = bus.dispatch(Count { counter: 1 }).await.unwrap();
            let name = "eventsource.projection.slow";
            log.hears(name).await;
            // Batches of other tests may take long too.
            until(async || log.says(name, "eventsource.blocking.pid", pid.into())).await;
            raw.batch_execute("ROLLBACK").await.unwrap();
            projections.wait_for(counted.position).await.unwrap();
            projections.shutdown().await.unwrap();
            let kept = raw.query_one(&format!("SELECT count(*) FROM {schema}.counts"), &[]).await.unwrap();
            assert_eq!(kept.get::<_, i64>(0), 2);
        });
    }
}
