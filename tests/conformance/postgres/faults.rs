//! Whose fault it is that a batch cannot be committed, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{
    Batch, Claim, DeadLetter, DeadLetters, OnFailure, Partition, Projection, ProjectionOptions, ProjectionStore,
};
use eventsource_runtime::store::{Filter, NewEvent, Origin, PostgresStore, PostgresTransaction};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::testing::run;
use eventsource_tests::faulty::Faulty;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{a_stream, events, open_in};

#[derive(Event, Serialize, Deserialize)]
struct Tried {
    how: String,
}

/// Notes the position of each event, in a way that the event tells.
#[derive(Clone)]
struct Trials {
    schema: String,
    begun: Arc<Notify>,
    goes_on: Arc<Notify>,
    other: Faulty,
}

#[projection]
impl Trials {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let create = "CREATE TABLE {}.trials (position bigint PRIMARY KEY, after bigint \
            REFERENCES {}.trials (position) DEFERRABLE INITIALLY DEFERRED, note text)";
        Ok(tx.execute_batch(&create.replace("{}", &self.schema)).await?)
    }

    async fn tried(&self, event: &Recorded<Tried>, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let position = i64::try_from(event.position().get())?;
        let insert = format!("INSERT INTO {}.trials VALUES ($1, $2, $3)", self.schema);
        let none = None::<i64>;
        match &*event.how {
            "swallowed" => {
                let _ = tx.execute_batch("SELECT 1 / 0").await;
            }
            "deferred" => {
                tx.execute(&insert, &[&position, &-1_i64, &"a"]).await?;
            }
            "twice" => {
                tx.execute(&insert, &[&position, &none, &"a"]).await?;
                tx.execute(&insert, &[&position, &none, &"secret"]).await?;
            }
            "enqueued twice" => {
                tx.enqueue(&insert, &[&position, &none, &"a"]).await?;
                tx.enqueue(&insert, &[&position, &none, &"secret"]).await?;
            }
            "no number" => {
                tx.execute_batch("SELECT 'secret'::integer").await?;
            }
            "no number in quotes" => {
                tx.execute_batch("SELECT 'x\"secret'::integer").await?;
            }
            "unfit" => {
                tx.execute(&insert, &[&"no number", &none, &"a"]).await?;
            }
            "misnamed" => {
                tx.execute_batch(&format!("INSERT INTO {}.trials (place) VALUES (1)", self.schema)).await?;
            }
            "several" => {
                tx.query_one("SELECT generate_series(1, 2)", &[]).await?;
            }
            "returned" => {
                tx.execute(&format!("{insert} RETURNING *"), &[&position, &none, &"a"]).await?;
            }
            "raised" => {
                tx.execute_batch("DO $$ BEGIN RAISE 'secret' USING ERRCODE = '23514'; END $$").await?;
            }
            "said by an extension" => {
                tx.execute_batch("DO $$ BEGIN RAISE 'secret' USING ERRCODE = 'XX000'; END $$").await?;
            }
            "mixed" => {
                tx.enqueue(&insert, &[&position, &none, &"first"]).await?;
                let update =
                    format!("UPDATE {}.trials SET note = note || ', then second' WHERE position = $1", self.schema);
                assert_eq!(tx.execute(&update, &[&position]).await?, 1, "what was enqueued came before");
                tx.enqueue(&update.replace("second", "third"), &[&position]).await?;
                let select = format!("SELECT note FROM {}.trials WHERE position = $1", self.schema);
                let written: String = tx.query_one(&select, &[&position]).await?.get(0);
                assert_eq!(written, "first, then second, then third");
            }
            "waits" => {
                self.begun.notify_one();
                self.goes_on.notified().await;
            }
            "passed on" => {
                let stream = StreamId::new("Order", event.position());
                self.other.append(&stream, ExpectedVersion::Any, events(1)).await?;
                tx.enqueue(&insert, &[&position, &none, &"passed on"]).await?;
            }
            _ => tx.enqueue(&insert, &[&position, &none, &"fine"]).await?,
        }
        Ok(())
    }
}

async fn set_up() -> (PostgresStore, Trials, tokio_postgres::Client) {
    let schema = services::a_schema();
    let store = open_in(&schema).await;
    let trials = Trials { schema, begun: Arc::default(), goes_on: Arc::default(), other: Faulty::default() };
    (store, trials, services::raw(&services::postgres()).await)
}

async fn attempt(store: &PostgresStore, stream: &StreamId, how: &str) -> Position {
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = NewEvent::encode(Uuid::now_v7(), &Tried { how: how.into() }, origin).unwrap();
    store.append(stream, ExpectedVersion::Any, vec![event]).await.unwrap().position
}

async fn noted(raw: &tokio_postgres::Client, trials: &Trials) -> Vec<i64> {
    let sql = format!("SELECT position FROM {}.trials ORDER BY position", trials.schema);
    raw.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What cannot be committed, and what is said of it.
const FAULTS: [(&str, &str); 10] = [
    ("swallowed", "a statement failed and its step went on"),
    ("deferred", "violates foreign key constraint"),
    ("twice", "duplicate key value violates unique constraint \"trials_pkey\" (SQLSTATE 23505)"),
    ("enqueued twice", "duplicate key value violates unique constraint \"trials_pkey\" (SQLSTATE 23505)"),
    ("no number", "invalid input syntax for type integer: … (SQLSTATE 22P02)"),
    ("no number in quotes", "invalid input syntax for type integer: … (SQLSTATE 22P02)"),
    ("unfit", "error serializing parameter 0"),
    ("several", "query returned an unexpected number of rows"),
    ("raised", "what it said is not kept"),
    ("said by an extension", "what it said is not kept"),
];

/// It was the store's trouble, which no policy acts in: the projection tried again for minutes and stopped.
#[test]
fn an_event_after_which_nothing_can_be_committed_follows_the_policy() {
    for policy in [OnFailure::Skip, OnFailure::DeadLetter] {
        run(async move {
            for (how, reason) in FAULTS {
                let (store, trials, raw) = set_up().await;
                let (mut good, bad) = (Vec::new(), a_stream());
                let mut failed = Position::START;
                for number in 0..20 {
                    if number == 13 {
                        failed = attempt(&store, &bad, how).await;
                    }
                    good.push(attempt(&store, &a_stream(), "well").await);
                }
                let options = ProjectionOptions::default().on_failure(policy).max_retries(0);
                let runner = ProjectionRunner::new(store.clone()).projection_with(trials.clone(), options);
                let projections = runner.spawn();
                projections.wait_for(good[19]).await.unwrap();
                projections.shutdown().await.unwrap();
                let expected: Vec<_> = good.iter().map(|position| position.get().cast_signed()).collect();
                assert_eq!(noted(&raw, &trials).await, expected, "{how}");
                let letters = DeadLetters::new(store, trials).list(Position::START, 10).await.unwrap();
                if policy == OnFailure::DeadLetter {
                    assert_eq!((letters.len(), letters[0].position), (1, failed), "{how}");
                    assert!(letters[0].reason.contains(reason), "{how}: {}", letters[0].reason);
                    assert!(!letters[0].reason.contains("secret"), "{}", letters[0].reason);
                }
            }
        });
    }
}

/// A renamed column: each event was retried for two seconds, and sound streams waited meanwhile.
#[test]
fn a_column_that_is_not_there_is_waited_for_once() {
    run(async {
        let (store, trials, raw) = set_up().await;
        let mut good = Vec::new();
        for _ in 0..3 {
            attempt(&store, &a_stream(), "misnamed").await;
            good.push(attempt(&store, &a_stream(), "well").await);
        }
        let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter).max_retries(2);
        let projections = runner.projection(trials.clone()).spawn();
        projections.wait_for(good[2]).await.unwrap();
        projections.shutdown().await.unwrap();
        let expected: Vec<_> = good.iter().map(|position| position.get().cast_signed()).collect();
        assert_eq!(noted(&raw, &trials).await, expected);
        let letters = DeadLetters::new(store, trials).list(Position::START, 10).await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.retries).collect::<Vec<_>>(), [2, 0, 0]);
    });
}

#[test]
fn a_step_that_goes_on_after_a_statement_has_failed_is_told() {
    run(async {
        let (store, trials, _raw) = set_up().await;
        let failed = attempt(&store, &a_stream(), "swallowed").await;
        let projections = ProjectionRunner::new(store).projection(trials).max_retries(0).spawn();
        let stopped = projections.wait_for(failed).await.unwrap_err();
        assert!(format!("{stopped:?}").contains("let the step end with the statement's error"), "{stopped:?}");
    });
}

/// What the driver finds fault with passed for a connection that was lost: whoever starts again what may pass did so
/// without end.
#[test]
fn a_step_that_can_never_succeed_has_stopped_for_good() {
    run(async {
        for how in ["unfit", "several"] {
            let (store, trials, _raw) = set_up().await;
            let failed = attempt(&store, &a_stream(), how).await;
            let projections = ProjectionRunner::new(store).projection(trials).max_retries(0).spawn();
            let stopped = projections.wait_for(failed).await.unwrap_err();
            assert_eq!(stopped.event(), Some(failed), "{how}: {stopped:?}");
            assert!(stopped.is_permanent(), "{how}: {stopped:?}");
        }
    });
}

/// The connection kept the statement that had been prepared before, and the server refused it for each event.
#[test]
fn a_table_that_gets_a_column_loses_no_event() {
    run(async {
        let (store, trials, raw) = set_up().await;
        let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::Skip).max_retries(0);
        let projections = runner.projection(trials.clone()).spawn();
        projections.wait_for(attempt(&store, &a_stream(), "returned").await).await.unwrap();
        raw.batch_execute(&format!("ALTER TABLE {}.trials ADD COLUMN more text", trials.schema)).await.unwrap();
        projections.wait_for(attempt(&store, &a_stream(), "returned").await).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(noted(&raw, &trials).await, [1, 2]);
    });
}

#[test]
fn what_is_enqueued_keeps_its_place_among_what_is_awaited() {
    run(async {
        let (store, trials, raw) = set_up().await;
        let mut last = Position::START;
        for _ in 0..3 {
            attempt(&store, &a_stream(), "well").await;
            last = attempt(&store, &a_stream(), "mixed").await;
        }
        let projections = ProjectionRunner::new(store).projection(trials.clone()).spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(noted(&raw, &trials).await.len(), 6);
    });
}

/// More statements than are sent before an answer is waited for, and answers that nobody has asked for yet.
#[test]
fn a_long_batch_of_enqueued_statements_is_applied_once() {
    run(async {
        let (store, trials, raw) = set_up().await;
        let stream = a_stream();
        let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
        let event = |_| NewEvent::encode(Uuid::now_v7(), &Tried { how: "well".into() }, Arc::clone(&origin)).unwrap();
        let last = store.append(&stream, ExpectedVersion::Any, (0..5000).map(event).collect()).await.unwrap();
        let projections = ProjectionRunner::new(store).projection(trials.clone()).spawn();
        projections.wait_for(last.position).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(noted(&raw, &trials).await, (1..=5000).collect::<Vec<_>>());
    });
}

/// They took turns for as long as their steps ran.
#[test]
fn a_part_with_dead_letters_that_stands_still_holds_up_no_other() {
    run(async {
        let (store, trials, raw) = set_up().await;
        let projection: Arc<dyn Projection<_>> = Arc::new(trials.clone());
        store.open_projection(Arc::clone(&projection), 2, Position::START).await.unwrap();
        let of = |part: Partition| std::iter::repeat_with(a_stream).find(|stream| part.holds(stream)).unwrap();
        let mut batches = Vec::new();
        for (part, how) in Partition::all("Trials", 2).zip(["waits", "well"]) {
            let claim = Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1));
            assert_eq!(store.lease_projection(part, claim.clone()).await.unwrap().taken, None);
            let parked = of(part);
            let from = attempt(&store, &parked, "swallowed").await;
            attempt(&store, &parked, "well").await;
            let to = attempt(&store, &of(part), how).await;
            let page = store.read_all(from, &Filter::all(), 2).await.unwrap();
            let first = store.read_all(Position::new(from.get() - 1), &Filter::all(), 1).await.unwrap().events;
            let letter = DeadLetter::parked(&first[0], Timestamp::from_micros(1));
            let aside = Batch::new(part, claim.clone(), Position::START, from).set_aside(Some(letter));
            store.apply_batch(Arc::clone(&projection), aside, Scope::current()).await.unwrap();
            batches.push(Batch::new(part, claim, from, to).events(page.events));
        }
        let (store, projection) = (&store, &projection);
        let apply = |batch| store.apply_batch(Arc::clone(projection), batch, Scope::current());
        let [stands, goes_on] = <[Batch; 2]>::try_from(batches).unwrap();
        let others = async {
            trials.begun.notified().await;
            let applied = tokio::time::timeout(Duration::from_secs(20), apply(goes_on)).await;
            assert_eq!(applied.expect("it waits for nobody").unwrap().parked.len(), 1);
            trials.goes_on.notify_one();
        };
        let (stood, ()) = tokio::join!(apply(stands), others);
        assert_eq!(stood.unwrap().parked.len(), 1);
        assert_eq!(noted(&raw, &trials).await.len(), 1);
    });
}

/// It was held against the event, since the connection of the batch was well.
#[test]
fn a_step_is_not_to_blame_for_a_store_that_it_calls() {
    for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
        run(async move {
            let (store, trials, raw) = set_up().await;
            trials.other.fail_appends(3);
            let last = attempt(&store, &a_stream(), "passed on").await;
            let runner = ProjectionRunner::new(store).on_failure(policy).max_retries(0);
            let projections = runner.projection(trials.clone()).spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            assert_eq!(noted(&raw, &trials).await, [1], "{policy:?}");
        });
    }
}
