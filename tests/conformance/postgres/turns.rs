//! What waits for a batch that is about to be committed.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{
    Batch, Claim, DeadLetter, DeadLetters, Letters, Partition, PartitionsChanged, ProjectionStore,
};
use eventsource_runtime::store::{Filter, NewEvent, Origin, PostgresStore, PostgresTransaction};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{a_stream, options};
use crate::messages::until;

const PART: Partition = Partition::whole("Slow");

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

/// Says that its step has begun, and waits in it.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<Notify>,
    goes_on: Arc<Notify>,
}

#[projection]
impl Slow {
    async fn placed(&self, _: &Recorded<Placed>, _: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        self.begun.notify_one();
        self.goes_on.notified().await;
        Ok(())
    }
}

/// A store, and who watches its connections.
struct Place {
    schema: String,
    store: PostgresStore,
    raw: tokio_postgres::Client,
}

impl Place {
    async fn new() -> Self {
        let schema = services::a_schema();
        let address = format!("{}?application_name={schema}", services::postgres());
        let store = PostgresStore::connect_with(&address, options(&schema)).await.unwrap();
        Self { schema, store, raw: services::raw(&services::postgres()).await }
    }

    async fn place(&self, stream: &StreamId) -> Position {
        let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
        let event = NewEvent::encode(Uuid::now_v7(), &Placed {}, origin).unwrap();
        self.store.append(stream, ExpectedVersion::Any, vec![event]).await.unwrap().position
    }

    async fn event_after(&self, position: Position) -> StoredEvent {
        self.store.read_all(position, &Filter::all(), 1).await.unwrap().events.remove(0)
    }

    /// Another connection with a transaction that keeps a lock on the projection's parts, as that of a batch that moves
    /// a checkpoint.
    async fn locked(&self, sql: &str) -> tokio_postgres::Client {
        let other = services::raw(&services::postgres()).await;
        other.batch_execute(&format!("BEGIN; {}", sql.replace("{schema}", &self.schema))).await.unwrap();
        other
    }

    /// Waits until so many of the store's connections wait for a lock.
    async fn waiting(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
        until(async || self.raw.query_one(waiting, &[&self.schema]).await.unwrap().get::<_, i64>(0) == count).await;
    }
}

/// Whoever had retried the last letter was told that its stream goes on, and then the next event was parked behind it,
/// which nobody retried any more.
#[test]
fn a_letter_is_not_settled_while_an_event_is_parked_behind_it() {
    run(async {
        let (place, slow, stream) = (Place::new().await, Slow::default(), a_stream());
        let (first, last) = (place.place(&stream).await, place.place(&stream).await);
        place.store.open_projection(Arc::new(slow.clone()), 1, Position::START).await.unwrap();
        let claim = Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1));
        assert_eq!(place.store.lease_projection(PART, claim.clone()).await.unwrap().taken, None);
        let letter = DeadLetter::parked(&place.event_after(Position::START).await, Timestamp::from_micros(1));
        let batch = Batch::new(PART, claim.clone(), Position::START, first).set_aside(Some(letter));
        place.store.apply_batch(Arc::new(slow.clone()), batch, Scope::current()).await.unwrap();

        let letters = DeadLetters::new(place.store.clone(), slow.clone());
        let mut retried = tokio::spawn(async move { letters.retry(&stream).await });
        slow.begun.notified().await;
        // It has found the letter, and cannot be committed yet.
        let lock = place.locked("SELECT FROM {schema}.projection_partitions FOR UPDATE").await;
        let batch = Batch::new(PART, claim, first, last).events(vec![place.event_after(first).await]);
        let parking = tokio::spawn({
            let (store, slow) = (place.store.clone(), Arc::new(slow.clone()));
            async move { store.apply_batch(slow, batch, Scope::current()).await }
        });
        place.waiting(1).await;
        slow.goes_on.notify_one();
        tokio::select! {
            () = place.waiting(2) => {}
            retried = &mut retried => panic!("an event is being parked behind the letter: {retried:?}"),
        }
        lock.batch_execute("COMMIT").await.unwrap();
        assert_eq!(parking.await.unwrap().unwrap().parked, [last]);
        slow.goes_on.notify_one();
        assert_eq!(retried.await.unwrap().unwrap(), 2);
        assert_eq!(place.store.dead_letters("Slow", Letters::new(10)).await.unwrap(), []);
    });
}

/// They were laid out where they had stood before a batch moved one of them, whose events were applied again then.
#[test]
fn parts_are_not_laid_out_anew_under_a_batch() {
    run(async {
        let (place, slow) = (Place::new().await, Slow::default());
        let open = async |store: PostgresStore, parts| {
            store.open_projection(Arc::new(slow.clone()), parts, Position::START).await
        };
        open(place.store.clone(), 2).await.unwrap();
        let batch = place.locked("UPDATE {schema}.projection_partitions SET position = 1 WHERE partition = 1").await;
        let commit = async {
            place.waiting(1).await;
            batch.batch_execute("COMMIT").await.unwrap();
        };
        let (opened, ()) = tokio::join!(open(place.store.clone(), 3), commit);
        let error = opened.unwrap_err();
        assert!(error.cause().is::<PartitionsChanged>(), "{error}");
    });
}
