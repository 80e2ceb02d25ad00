//! Projections that cannot apply an event, that are built anew, that share their work, and that lose their lease.

pub(crate) mod anew;
mod away;
mod blame;
mod chosen;
mod hanging;
mod rebuilt;
mod replaced;
mod set_back;
mod stalled;
mod standby;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{
    Claim, DeadLetters, OnFailure, Partition, Projection, ProjectionOptions, ProjectionStore,
};
use eventsource_runtime::store::{NewEvent, Origin, Sqlite, SqliteOptions, SqliteStore, SqliteTransaction};
use eventsource_tests::dice::Dice;
use eventsource_tests::faulty::Faulty;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::recorder::Recorder;
use uuid::Uuid;

use crate::sqlite;
use anew::runner;

const REASON: &str = "{\"reason\":\"too slow\"}";

fn a_stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7())
}

/// A cancellation, with this payload and of this schema version.
fn cancellation(payload: &str, schema_version: u32) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: "OrderCancelled",
        schema_version,
        payload: payload.to_owned().into(),
        origin: Arc::new(Origin::at(Timestamp::from_micros(1))),
    }
}

async fn cancel<S: EventStore>(store: &S, stream: &StreamId, payload: &str, schema_version: u32) -> Position {
    let event = cancellation(payload, schema_version);
    store.append(stream, ExpectedVersion::Any, vec![event]).await.unwrap().position
}

/// For each stream how many of its events were seen, and a sum that tells their order; and all positions.
struct Tally {
    /// The reason of an event that makes the step fail, or panic, and how often it still does.
    poison: &'static str,
    panics: bool,
    left: Arc<AtomicUsize>,
}

impl Tally {
    fn sound() -> Self {
        Self { poison: "", panics: false, left: Arc::default() }
    }

    fn poisoned(panics: bool) -> Self {
        Self { poison: "poison", panics, left: Arc::new(AtomicUsize::new(usize::MAX)) }
    }
}

#[projection]
impl Tally {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(
            "CREATE TABLE seen (position INTEGER NOT NULL, stream TEXT NOT NULL);
             CREATE INDEX seen_by_stream ON seen (stream);
             CREATE TABLE sums (stream TEXT PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL)",
        )?)
    }

    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("DELETE FROM seen; DELETE FROM sums")?)
    }

    fn cancelled(&self, event: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let (position, stream) = (event.position().get(), event.stream_id().as_str());
        tx.execute("INSERT INTO seen VALUES (?1, ?2)", (position, stream))?;
        tx.execute(
            "INSERT INTO sums VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE SET count = count + 1, sum = (sum * 31 + ?2) % 1000003",
            (stream, position),
        )?;
        let fails = event.reason == self.poison
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(!(fails && self.panics), "poison");
        if fails { Err(ProjectionError::new("poison")) } else { Ok(()) }
    }
}

async fn seen(store: &SqliteStore) -> Vec<u64> {
    let read = |connection: &rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT position FROM seen ORDER BY rowid")?;
        statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    };
    store.reader().read(read).await.unwrap().into_iter().map(i64::cast_unsigned).collect()
}

async fn sums(store: &SqliteStore) -> BTreeMap<String, (i64, i64)> {
    let read = |connection: &rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT stream, count, sum FROM sums")?;
        statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
    };
    store.reader().read(read).await.unwrap()
}

/// What makes a step fail, for each kind of fault.
const FAULTS: [(&str, u32, bool, &str); 4] = [
    ("{\"reason\":\"poison\"}", 1, false, "projection"),
    ("{\"reason\":\"poison\"}", 1, true, "panic"),
    ("nonsense", 1, false, "DecodeError"),
    (REASON, 99, false, "DecodeError"),
];

/// A store with a stream whose second event of three cannot be applied, and another stream.
async fn poisoned(payload: &str, version: u32) -> (SqliteStore, StreamId, [Position; 5]) {
    let (store, bad, good) = (sqlite().await, a_stream(), a_stream());
    let positions = [
        cancel(&store, &bad, REASON, 1).await,
        cancel(&store, &good, REASON, 1).await,
        cancel(&store, &bad, payload, version).await,
        cancel(&store, &bad, REASON, 1).await,
        cancel(&store, &good, REASON, 1).await,
    ];
    (store, bad, positions)
}

fn numbers(positions: &[Position]) -> Vec<u64> {
    positions.iter().map(|position| position.get()).collect()
}

#[tokio::test]
async fn a_projection_that_stops_leaves_everything_from_the_fault_on() {
    for (payload, version, panics, _) in FAULTS {
        let (store, _, at) = poisoned(payload, version).await;
        let runner = ProjectionRunner::new(store.clone()).projection(Tally::poisoned(panics)).max_retries(1);
        let projections = runner.spawn();
        let stopped = [projections.stopped().await, projections.wait_for(at[4]).await.unwrap_err()];
        for stopped in stopped {
            let ProjectionStopped::Failed { checkpoint, .. } = stopped else { panic!("{stopped}") };
            assert_eq!((checkpoint, seen(&store).await), (at[1], numbers(&at[..2])));
        }
        projections.shutdown().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_projection_that_skips_leaves_out_the_fault_alone() {
    for (payload, version, panics, _) in FAULTS {
        let (store, _, at) = poisoned(payload, version).await;
        let runner = ProjectionRunner::new(store.clone()).max_retries(1).on_failure(OnFailure::Skip);
        let projections = runner.projection(Tally::poisoned(panics)).spawn();
        projections.wait_for(at[4]).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(seen(&store).await, numbers(&[at[0], at[1], at[3], at[4]]));
        assert_eq!(DeadLetters::new(store, Tally::sound()).list(Position::START, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_projection_that_dead_letters_parks_the_stream_and_no_other() {
    for (payload, version, panics, name) in FAULTS {
        let (store, bad, at) = poisoned(payload, version).await;
        let chosen = ProjectionOptions::default().on_failure(OnFailure::DeadLetter).max_retries(1);
        let runner = ProjectionRunner::new(store.clone()).projection_with(Tally::poisoned(panics), chosen);
        let projections = runner.spawn();
        projections.wait_for(at[4]).await.unwrap();
        assert_eq!(seen(&store).await, numbers(&[at[0], at[1], at[4]]));
        let letters = DeadLetters::new(store.clone(), Tally::sound());
        let listed = letters.list(Position::START, 10).await.unwrap();
        assert_eq!(listed.iter().map(|letter| letter.position).collect::<Vec<_>>(), at[2..4]);
        assert!(listed.iter().all(|letter| letter.stream == bad));
        assert_eq!((listed[0].error_type.as_str(), listed[1].is_parked()), (name, true));
        // Live, as it was in the past.
        let last = cancel(&store, &bad, REASON, 1).await;
        projections.wait_for(last).await.unwrap();
        assert_eq!(letters.of_stream(&bad, at[3], 10).await.unwrap().len(), 1);
        projections.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn letters_are_retried_in_order_and_the_stream_goes_on() {
    let (store, bad, at) = poisoned("{\"reason\":\"poison\"}", 1).await;
    let runner = ProjectionRunner::new(store.clone()).max_retries(0).on_failure(OnFailure::DeadLetter);
    let projections = runner.projection(Tally::poisoned(false)).spawn();
    projections.wait_for(at[4]).await.unwrap();
    // While the fault is there, the letters stay.
    let recorder = Recorder::new();
    let letters = ProjectionRunner::new(store.clone()).enable_tracing(true).dead_letters(Tally::poisoned(false));
    let error = recorder.run(letters.retry(&bad)).await.unwrap_err();
    assert_eq!((error.event(), error.is_permanent()), (Some(at[2]), true));
    let failed = recorder.trees().render();
    assert!(failed.contains("ERROR") && failed.contains("eventsource.retry.count=0"), "{failed}");
    let letters = DeadLetters::new(store.clone(), Tally::sound());
    assert_eq!(letters.retry(&bad).await.unwrap(), 2);
    assert_eq!(letters.retry(&bad).await.unwrap(), 0);
    let last = cancel(&store, &bad, REASON, 1).await;
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(seen(&store).await, numbers(&[at[0], at[1], at[4], at[2], at[3], last]));
}

#[tokio::test]
async fn a_letter_that_is_resolved_lets_the_next_be_retried() {
    let (store, bad, at) = poisoned("nonsense", 1).await;
    let runner = ProjectionRunner::new(store.clone()).max_retries(0).on_failure(OnFailure::DeadLetter);
    let projections = runner.projection(Tally::sound()).spawn();
    projections.wait_for(at[4]).await.unwrap();
    projections.shutdown().await.unwrap();
    let letters = DeadLetters::new(store.clone(), Tally::sound());
    letters.retry(&bad).await.unwrap_err();
    assert!(letters.resolve(at[2]).await.unwrap());
    assert!(!letters.resolve(at[2]).await.unwrap());
    assert_eq!(letters.retry(&bad).await.unwrap(), 1);
    assert_eq!(seen(&store).await, numbers(&[at[0], at[1], at[4], at[3]]));
}

/// Steps failed because the store was away, and what only waited for it would have been skipped.
#[tokio::test]
async fn no_policy_acts_while_the_store_is_in_trouble() {
    for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
        let store = Faulty::default();
        let outage = Outage { store: store.clone(), left: Arc::new(AtomicUsize::new(5)), done: Arc::default() };
        let runner = ProjectionRunner::new(store.clone()).projection(outage.clone()).max_retries(1).on_failure(policy);
        let projections = runner.spawn();
        let last = cancel(&store, &a_stream(), REASON, 1).await;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(outage.done.load(Ordering::SeqCst), 1, "{policy:?}");
    }
}

/// Fails as long as its store does, which comes back after a number of attempts.
#[derive(Clone)]
struct Outage {
    store: Faulty,
    left: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

#[projection]
impl Outage {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        let is_out = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        self.store.refuse_all(is_out);
        if is_out {
            return Err(ProjectionError::new("the connection is gone"));
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// How much is read ahead of a step that takes its time.
#[tokio::test]
async fn a_slow_projection_reads_no_more_than_a_page_ahead() {
    let store = Faulty::default();
    let orders = Repository::<Order, _>::new(store.clone());
    let events: Vec<_> = (0..5000).map(|_| OrderCancelled { reason: "too slow".into() }).collect();
    orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, events).await.unwrap();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let projections = ProjectionRunner::new(store.clone()).projection(Gated(Arc::clone(&gate))).spawn();
    while store.shown() < 128 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.shown(), 128, "the page that is applied, and the next");
    drop(projections);
}

struct Gated(Arc<tokio::sync::Semaphore>);

#[projection]
impl Gated {
    async fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}

/// Stops at its first event.
struct Stuck;

#[projection]
impl Stuck {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("as it must"))
    }
}

/// The slow one was waited for until the time was up, and that was all that was told.
#[tokio::test]
async fn one_that_has_stopped_is_told_behind_one_that_is_slow() {
    let (store, gate) = (MemoryStore::new(), Arc::new(tokio::sync::Semaphore::new(0)));
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    let projections = ProjectionRunner::new(store.clone()).max_retries(0);
    let projections = projections.projection(Gated(Arc::clone(&gate))).projection(Stuck).spawn();
    let stopped = projections.wait_for_within(last, Duration::from_mins(10));
    let stopped = tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("nobody waits for the slow one");
    assert!(matches!(stopped, Err(ProjectionStopped::Failed { projection: "Stuck", .. })), "{stopped:?}");
    projections.shutdown_within(Duration::ZERO).await.unwrap_err();
}

#[tokio::test]
async fn parts_share_the_streams_and_keep_the_order_of_each() {
    let store = sqlite().await;
    let streams: Vec<_> = (0..20).map(|_| a_stream()).collect();
    for _ in 0..10 {
        for stream in &streams {
            cancel(&store, stream, REASON, 1).await;
        }
    }
    let in_parts = |count| {
        let options = ProjectionOptions::default().partitions(count);
        ProjectionRunner::new(store.clone()).projection_with(Tally::sound(), options)
    };
    let projections = in_parts(4).spawn();
    projections.wait_for(Position::new(200)).await.unwrap();
    let last = cancel(&store, &streams[7], REASON, 1).await;
    projections.wait_for(last).await.unwrap();
    assert_eq!(projections.checkpoint("Tally"), Some(last));
    projections.shutdown().await.unwrap();
    let in_four = sums(&store).await;
    let mut all = seen(&store).await;
    all.sort_unstable();
    assert_eq!(all, (1..=201).collect::<Vec<_>>(), "each once");
    // All stand at one position, so that their number can change; and the sums are those of one part in order.
    let projections = in_parts(1).rebuild().spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(sums(&store).await, in_four);
}

#[tokio::test]
async fn two_runners_share_the_parts_of_a_projection() {
    let store = sqlite().await;
    let options = || ProjectionOptions::default().partitions(2);
    let one = runner(&store).projection_with(Tally::sound(), options()).spawn();
    one.wait_for(Position::START).await.unwrap();
    let other = runner(&store).projection_with(Tally::sound(), options()).spawn();
    let mut last = Position::START;
    for _ in 0..50 {
        last = cancel(&store, &a_stream(), REASON, 1).await;
    }
    one.wait_for(last).await.unwrap();
    other.wait_for(last).await.unwrap();
    one.shutdown().await.unwrap();
    other.shutdown().await.unwrap();
    let mut all = seen(&store).await;
    all.sort_unstable();
    assert_eq!(all, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_runner_that_lost_its_lease_waits_and_goes_on() {
    let store = sqlite().await;
    let stream = a_stream();
    let projections = runner(&store).projection(Tally::sound()).spawn();
    projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    let name = Projection::<Sqlite>::name(&Tally::sound());
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_millis(100)).by_force();
    assert_eq!(store.lease_projection(Partition::whole(name), claim).await.unwrap().taken, None);
    projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(seen(&store).await, [1, 2]);
}
