//! Projections whose read model is in PostgreSQL.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{
    Batch, Claim, DeadLetter, Letters, OnFailure, Partition, Projection, ProjectionStore,
};
use eventsource_runtime::store::{Filter, NewEvent, Origin, PostgresStore, PostgresTransaction};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::testing::run;
use eventsource_tests::alone::passed;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{a_stream, open_in, options};
use crate::messages::until;

#[derive(Event, Serialize, Deserialize)]
struct Counted {
    by: i64,
}

/// Counts, by stream, into a table of the test's own; -1 fails, -2 ends the transaction, -3 panics, -4 waits.
struct Counts {
    table: String,
    begun: Notify,
    goes_on: Notify,
}

#[projection]
impl Counts {
    #[projection(setup)]
    async fn setup(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(&format!("CREATE TABLE {} (stream text PRIMARY KEY, sum bigint)", self.table)).await?;
        Ok(())
    }

    #[projection(reset)]
    async fn reset(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(&format!("DELETE FROM {}", self.table)).await?;
        Ok(())
    }

    async fn counted(&self, event: &Recorded<Counted>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let upsert = "INSERT INTO {} AS old VALUES ($1, $2) ON CONFLICT (stream) DO UPDATE SET sum = old.sum + $2";
        tx.execute(&upsert.replace("{}", &self.table), &[&event.stream_id().as_str(), &event.by]).await?;
        match event.by {
            -1 => Err(ProjectionError::new("as it was told to")),
            -2 => Ok(tx.execute_batch("COMMIT").await?),
            -3 => panic!("as it was told to"),
            -4 => {
                self.begun.notify_one();
                self.goes_on.notified().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A store, the projection, and a connection to look at its table.
async fn set_up() -> (PostgresStore, Arc<Counts>, tokio_postgres::Client) {
    let schema = services::a_schema();
    let store = open_in(&schema).await;
    let counts = Counts { table: format!("{schema}.counts"), begun: Notify::new(), goes_on: Notify::new() };
    (store, Arc::new(counts), services::raw(&services::postgres()).await)
}

async fn count(store: &PostgresStore, stream: &StreamId, by: i64) -> Position {
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = NewEvent::encode(Uuid::now_v7(), &Counted { by }, origin).unwrap();
    store.append(stream, ExpectedVersion::Any, vec![event]).await.unwrap().position
}

async fn sum(raw: &tokio_postgres::Client, counts: &Counts) -> i64 {
    let sql = format!("SELECT coalesce(sum(sum), 0)::bigint FROM {}", counts.table);
    raw.query_one(&sql, &[]).await.unwrap().get(0)
}

/// Applies what is in the feed after a position.
async fn apply(
    store: &PostgresStore,
    counts: &Arc<Counts>,
    claim: &Claim,
    from: Position,
) -> Result<Position, ProjectionError> {
    let page = store.read_all(from, &Filter::all(), 100).await?;
    let batch = Batch::new(Partition::whole("Counts"), claim.clone(), from, page.scanned).events(page.events);
    let projection: Arc<dyn Projection<_>> = counts.clone();
    store.apply_batch(projection, batch, Scope::current()).await?;
    Ok(page.scanned)
}

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1))
}

/// Opens the projection and takes its lease.
async fn opened(store: &PostgresStore, counts: &Arc<Counts>) -> Claim {
    store.open_projection(counts.clone(), 1, Position::START).await.unwrap();
    let claim = claim();
    let lease = store.lease_projection(Partition::whole("Counts"), claim.clone()).await.unwrap();
    assert_eq!(lease.taken, None);
    claim
}

async fn checkpoint(store: &PostgresStore) -> Position {
    store.lease_projection(Partition::whole("Counts"), claim()).await.unwrap().checkpoint
}

#[test]
fn a_batch_and_its_checkpoint_are_one() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let claim = opened(&store, &counts).await;
        let stream = a_stream();
        for by in [1, 2, 3] {
            count(&store, &stream, by).await;
        }
        let stands = apply(&store, &counts, &claim, Position::START).await.unwrap();
        assert_eq!((sum(&raw, &counts).await, checkpoint(&store).await), (6, stands));
        // The same batch again was applied before.
        assert!(apply(&store, &counts, &claim, Position::START).await.is_err());
        assert_eq!(sum(&raw, &counts).await, 6);
        // One that fails leaves nothing, at whichever event.
        count(&store, &stream, 4).await;
        let fails = count(&store, &stream, -1).await;
        let error = apply(&store, &counts, &claim, stands).await.unwrap_err();
        assert_eq!(error.event(), Some(fails), "{error:?}");
        assert_eq!((sum(&raw, &counts).await, checkpoint(&store).await), (6, stands));
    });
}

#[test]
fn a_step_that_panics_fails_its_batch_alone() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let claim = opened(&store, &counts).await;
        let panics = count(&store, &a_stream(), -3).await;
        let error = apply(&store, &counts, &claim, Position::START).await.unwrap_err();
        assert_eq!(error.event(), Some(panics), "{error:?}");
        let after = count(&store, &a_stream(), 5).await;
        let stands = apply(&store, &counts, &claim, panics).await;
        assert!(stands.is_err(), "the checkpoint has not moved");
        assert_eq!((sum(&raw, &counts).await, after > panics), (0, true));
    });
}

#[test]
fn a_step_that_ends_the_transaction_fails_the_batch() {
    run(async {
        let (store, counts, _raw) = set_up().await;
        let claim = opened(&store, &counts).await;
        count(&store, &a_stream(), -2).await;
        let error = apply(&store, &counts, &claim, Position::START).await.unwrap_err();
        assert!(format!("{error}").contains("ended the batch's transaction"), "{error}");
        assert_eq!(checkpoint(&store).await, Position::START);
    });
}

/// A runner that stands still in the middle of a batch keeps nobody from taking its lease, and when it goes on, what it
/// has written is undone.
#[test]
fn a_batch_whose_lease_was_taken_meanwhile_changes_nothing() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let late = opened(&store, &counts).await;
        count(&store, &a_stream(), -4).await;
        let batch = {
            let (store, counts) = (store.clone(), counts.clone());
            tokio::spawn(async move { apply(&store, &counts, &late, Position::START).await })
        };
        counts.begun.notified().await;
        let second = claim().by_force();
        let lease = store.lease_projection(Partition::whole("Counts"), second.clone()).await.unwrap();
        assert_eq!((lease.checkpoint, lease.taken), (Position::START, None));
        counts.goes_on.notify_one();
        let error = batch.await.unwrap().unwrap_err();
        assert!(format!("{error}").contains("lease"), "{error}");
        assert_eq!(sum(&raw, &counts).await, 0);
        // The one that has the lease goes on from the checkpoint.
        counts.goes_on.notify_one();
        apply(&store, &counts, &second, Position::START).await.unwrap();
        assert_eq!(sum(&raw, &counts).await, -4);
    });
}

#[test]
fn a_lease_is_had_by_one_at_a_time() {
    run(async {
        let (store, counts, _raw) = set_up().await;
        let first = opened(&store, &counts).await;
        let whole = Partition::whole("Counts");
        let taken = store.lease_projection(whole, claim()).await.unwrap().taken.expect("the first has it");
        assert_eq!(taken.owner, "test");
        assert!(taken.left > Duration::from_secs(1));
        // Given up, or expired, it is free.
        store.lease_projection(whole, first.given_up()).await.unwrap();
        let second = Claim::new(Uuid::now_v7(), "short", Duration::from_millis(1));
        assert_eq!(store.lease_projection(whole, second).await.unwrap().taken, None);
        until(async || store.lease_projection(whole, claim()).await.unwrap().taken.is_none()).await;
    });
}

/// A runner catches up, follows, sets aside the stream of an event that fails, and goes on with the others.
#[test]
fn a_runner_sets_aside_what_fails_and_goes_on() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let (fails, works) = (a_stream(), a_stream());
        count(&store, &fails, 1).await;
        let failed = count(&store, &fails, -1).await;
        let parked = count(&store, &fails, 10).await;
        count(&store, &works, 100).await;
        let table = counts.table.clone();
        let projection = Counts { table, begun: Notify::new(), goes_on: Notify::new() };
        let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter).max_retries(1);
        let projections = runner.projection(projection).spawn();
        let last = count(&store, &works, 1000).await;
        projections.wait_for(last).await.unwrap();
        assert_eq!(sum(&raw, &counts).await, 1101);
        let letters = store.dead_letters("Counts", Letters::new(10)).await.unwrap();
        let found: Vec<_> = letters.iter().map(|letter| (letter.position, letter.is_parked())).collect();
        assert_eq!(found, [(failed, false), (parked, true)]);
        // Resolved, and what was parked behind it applied.
        assert!(store.settle_dead_letter(counts.clone(), failed, None, Scope::current()).await.unwrap());
        let event = store.read_stream(&fails, Version::new(2), 1).await.unwrap().pop();
        assert!(store.settle_dead_letter(counts.clone(), parked, event, Scope::current()).await.unwrap());
        assert!(!store.settle_dead_letter(counts.clone(), parked, None, Scope::current()).await.unwrap());
        assert_eq!(sum(&raw, &counts).await, 1111);
        projections.shutdown().await.unwrap();
    });
}

/// Rebuilt in place it comes to the same.
#[test]
fn a_rebuild_comes_to_the_same() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let mut last = Position::START;
        for by in 1..=50 {
            last = count(&store, &a_stream(), by).await;
        }
        for rebuild in [false, true] {
            if rebuild {
                // A mark that no event has made: what was built live would pass for what is built anew.
                raw.batch_execute(&format!("UPDATE {} SET sum = -1", counts.table)).await.unwrap();
            }
            let projection = Counts { table: counts.table.clone(), begun: Notify::new(), goes_on: Notify::new() };
            let runner = ProjectionRunner::new(store.clone()).projection(projection);
            let projections = if rebuild { runner.rebuild().spawn() } else { runner.spawn() };
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            assert_eq!(sum(&raw, &counts).await, 1275);
        }
    });
}

/// Without optimisation futures are large. What a projection itself calls needs the stack of a thread, which is 2 MiB
/// unless the application says otherwise: the runner leaves more than half of it.
#[test]
fn a_runner_leaves_most_of_the_stack_to_its_projection() {
    const CHILD: &str = "EVENTSOURCE_TESTS_SMALL_STACK";
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["postgres::projecting::", "postgres::faults::"]);
    passed(tests.env(CHILD, "").env("RUST_MIN_STACK", (768 * 1024).to_string()), 15);
}

/// Writes its values into its statements, and looks how many of these the server keeps.
#[derive(Clone, Default)]
struct Varied {
    kept: Arc<AtomicI64>,
}

#[projection]
impl Varied {
    async fn counted(&self, event: &Recorded<Counted>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        for number in 0..event.by {
            tx.execute(&format!("SELECT {number}"), &[]).await?;
            tx.enqueue(&format!("SELECT -{number}"), &[]).await?;
        }
        let kept = tx.query_one("SELECT count(*) FROM pg_prepared_statements", &[]).await?;
        self.kept.store(kept.get(0), Ordering::SeqCst);
        Ok(())
    }
}

/// Each statement was kept for as long as its connection lasted.
#[test]
fn a_connection_keeps_a_bounded_number_of_statements() {
    run(async {
        let (store, ..) = set_up().await;
        let varied = Varied::default();
        let projections = ProjectionRunner::new(store.clone()).projection(varied.clone()).spawn();
        let counted = count(&store, &a_stream(), 500).await;
        projections.wait_for(counted).await.unwrap();
        projections.shutdown().await.unwrap();
        let kept = varied.kept.load(Ordering::SeqCst);
        assert!((1..300).contains(&kept), "{kept}");
    });
}

/// What the letter's event did came behind the reset, and then the event was applied again.
#[test]
fn a_reset_waits_for_a_letter_that_is_retried() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let claim = opened(&store, &counts).await;
        let position = count(&store, &a_stream(), -4).await;
        let event = store.read_all(Position::START, &Filter::all(), 1).await.unwrap().events.pop().unwrap();
        let letter = DeadLetter::parked(&event, Timestamp::from_micros(1));
        let batch = Batch::new(Partition::whole("Counts"), claim.clone(), Position::START, position);
        let projection: Arc<dyn Projection<_>> = counts.clone();
        store.apply_batch(Arc::clone(&projection), batch.set_aside(Some(letter)), Scope::current()).await.unwrap();
        let retried = store.settle_dead_letter(Arc::clone(&projection), position, Some(event), Scope::current());
        let reset = async {
            counts.begun.notified().await;
            let schema = counts.table.trim_end_matches(".counts");
            let address = format!("{}?application_name={schema}", services::postgres());
            let other = PostgresStore::connect_with(&address, options(schema)).await.unwrap();
            let waits = async {
                let blocked =
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
                until(async || raw.query_one(blocked, &[&schema]).await.unwrap().get::<_, i64>(0) > 0).await;
                counts.goes_on.notify_one();
            };
            tokio::join!(other.reset_projection(Arc::clone(&projection), claim.token), waits).0
        };
        let both = async { tokio::join!(retried, reset) };
        let (retried, reset) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the reset waits");
        assert!(retried.unwrap());
        reset.unwrap();
        assert_eq!((sum(&raw, &counts).await, checkpoint(&store).await), (0, Position::START));
    });
}

/// A term of which nobody sees the end, times three.
#[test]
fn the_longest_lease_is_long() {
    run(async {
        let (store, varied) = (set_up().await.0, Varied::default());
        let projections = ProjectionRunner::new(store.clone()).lease(Duration::MAX).projection(varied).spawn();
        projections.wait_for(count(&store, &a_stream(), 1).await).await.unwrap();
        projections.shutdown().await.unwrap();
    });
}

#[test]
fn a_letter_of_a_stream_that_no_store_takes_any_more_is_listed() {
    run(async {
        let (store, counts, raw) = set_up().await;
        let insert =
            "INSERT INTO {}.projection_dead_letters VALUES ('Counts', 7, '-old', 1, 'Counted', 'E', 'why', 0, 1)";
        raw.batch_execute(&insert.replace("{}", counts.table.trim_end_matches(".counts"))).await.unwrap();
        let listed = store.dead_letters("Counts", Letters::new(10)).await.unwrap();
        assert_eq!(listed.iter().map(|letter| letter.stream.as_str()).collect::<Vec<_>>(), ["-old"]);
    });
}
