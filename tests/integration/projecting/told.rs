//! What is told of an event whose answer was lost.

use eventsource_runtime::telemetry::names;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use eventsource_tests::scratch::Scratch;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;

use super::anew::open;
use super::*;

/// Applies nothing.
struct Refusing;

#[projection]
impl Refusing {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("poison"))
    }
}

/// As what the events of a projection were counted.
fn statuses(metrics: &InMemoryMetricExporter) -> Vec<String> {
    counts(metrics).into_keys().collect()
}

/// How many events of a projection were counted, by what they were counted as.
fn counts(metrics: &InMemoryMetricExporter) -> BTreeMap<String, u64> {
    let told = Measured::last(metrics).into_iter().filter(|point| point.name == names::EVENTSOURCE_PROJECTION_EVENTS);
    told.map(|point| (point.said(names::STATUS), point.count)).collect()
}

/// Who was told of an order had to ask the database which position that was.
#[tokio::test]
async fn what_operators_read_of_an_event_names_its_stream_and_its_type() {
    let (log, _guard) = Log::of_thread();
    let (stop, skip, set_aside) = (OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter);
    for (policy, told) in [(stop, "stopped"), (skip, "skipped"), (set_aside, "dead_lettered"), (stop, "retried")] {
        let (store, stream) = (MemoryStore::new(), a_stream());
        let last = cancel(&store, &stream, REASON, 1).await;
        let runner = ProjectionRunner::new(store).projection(Refusing).max_retries(1).on_failure(policy);
        let projections = runner.spawn();
        let ended = projections.wait_for(last).await;
        assert_eq!(ended.is_err(), matches!(policy, OnFailure::Stop));
        let _ = projections.shutdown().await;
        let told = format!("eventsource.projection.{told}");
        log.hears_of(&told, "eventsource.stream.id", stream.as_str()).await;
        log.hears_of(&told, "eventsource.event.type", "OrderCancelled").await;
    }
}

/// The checkpoint was found behind the event, which was counted as applied.
#[tokio::test]
async fn an_event_is_told_as_what_became_of_it_though_the_answer_was_lost() {
    for (policy, status) in [(OnFailure::Skip, "skipped"), (OnFailure::DeadLetter, "dead_lettered")] {
        let (recorder, metrics) = Recorder::measured();
        recorder
            .run(async {
                let store = Faulty::default();
                // Steps that fail give none.
                store.lose_answers(1);
                let runner = ProjectionRunner::new(store.clone()).projection(Refusing).max_retries(1);
                let projections = runner.on_failure(policy).spawn();
                let last = cancel(&store, &a_stream(), REASON, 1).await;
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
            })
            .await;
        recorder.flush().await;
        assert_eq!(statuses(&metrics), [status]);
    }
}

/// Applies nothing, and knows that it never will.
struct Hopeless;

#[projection]
impl Hopeless {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("poison").permanent())
    }
}

/// What could not even be tried says nothing of what was tried before. On a clock that goes on when all wait for it.
#[tokio::test(start_paused = true)]
async fn an_event_is_told_as_what_became_of_it_though_the_store_was_in_trouble_after_that() {
    for (policy, status) in [(OnFailure::Skip, "skipped"), (OnFailure::DeadLetter, "dead_lettered")] {
        let (recorder, metrics) = Recorder::measured();
        recorder
            .run(async {
                let store = Faulty::default();
                store.lose_answers(1);
                let runner = ProjectionRunner::new(store.clone()).projection(Hopeless).on_failure(policy);
                let projections = runner.spawn();
                let last = cancel(&store, &a_stream(), REASON, 1).await;
                // The event, and what its policy says, whose answer is lost.
                while store.batches() < 2 {
                    tokio::task::yield_now().await;
                }
                store.refuse(1);
                projections.wait_for(last).await.unwrap();
                assert_eq!(store.batches(), 4, "one was refused");
                projections.shutdown().await.unwrap();
            })
            .await;
        recorder.flush().await;
        assert_eq!(statuses(&metrics), [status]);
    }
}

/// Notes cancellations, one of which fails the first time.
#[derive(Default)]
struct Stumbling {
    seen: AtomicUsize,
}

#[projection]
impl Stumbling {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        if self.seen.fetch_add(1, Ordering::SeqCst) == 40 { Err(ProjectionError::new("not now")) } else { Ok(()) }
    }
}

/// Events were applied, as the checkpoint showed, and not counted: those of a batch whose answer was lost, and those
/// before the one at fault in a store without transactions.
#[tokio::test]
async fn each_event_of_a_batch_is_counted_once_whatever_failed() {
    for (lost, stumbles) in [(1, false), (0, true), (1, true)] {
        let (recorder, metrics) = Recorder::measured();
        recorder
            .run(async {
                let store = Faulty::default();
                let mut last = Position::START;
                for _ in 0..100 {
                    last = cancel(&store, &a_stream(), REASON, 1).await;
                }
                store.lose_answers(lost);
                let stumbling = Stumbling { seen: AtomicUsize::new(if stumbles { 0 } else { 1000 }) };
                let projections = ProjectionRunner::new(store.clone()).projection(stumbling).spawn();
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
            })
            .await;
        recorder.flush().await;
        let points = Measured::last(&metrics);
        let events = points.iter().filter(|point| point.name == names::EVENTSOURCE_PROJECTION_EVENTS);
        let counted = events.map(|point| point.count).sum::<u64>();
        assert_eq!(counted, 100, "answers lost: {lost}, stumbles: {stumbles}");
    }
}

/// Applies nothing that is poison.
struct Careful;

#[projection]
impl Careful {
    fn cancelled(&self, event: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        if event.reason == "poison" { Err(ProjectionError::new("poison")) } else { Ok(()) }
    }
}

const POISON: &str = "{\"reason\":\"poison\"}";

/// The checkpoint was found behind an event that was parked, and it was counted as applied.
#[tokio::test]
async fn a_parked_event_is_told_as_a_dead_letter_though_the_answer_was_lost() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let (store, stream) = (Faulty::default(), a_stream());
            let runner = ProjectionRunner::new(store.clone()).projection(Careful).max_retries(1);
            let projections = runner.on_failure(OnFailure::DeadLetter).spawn();
            projections.wait_for(cancel(&store, &stream, POISON, 1).await).await.unwrap();
            store.lose_answers(1);
            projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    recorder.flush().await;
    assert_eq!(counts(&metrics), BTreeMap::from([("dead_lettered".to_owned(), 2)]));
}

/// What was parked before the event at fault, in a store without transactions, or in a batch whose answer was lost, was
/// counted as applied.
#[tokio::test]
async fn a_parked_event_is_told_as_a_dead_letter_though_its_batch_failed_behind_it() {
    for (lost, fault) in [(0, POISON), (1, REASON)] {
        let (recorder, metrics) = Recorder::measured();
        recorder
            .run(async {
                let (store, stream) = (Faulty::default(), a_stream());
                let runner = || {
                    let runner = ProjectionRunner::new(store.clone()).projection(Careful).max_retries(1);
                    runner.on_failure(OnFailure::DeadLetter)
                };
                let projections = runner().spawn();
                projections.wait_for(cancel(&store, &stream, POISON, 1).await).await.unwrap();
                projections.shutdown().await.unwrap();
                let mut last = cancel(&store, &stream, REASON, 1).await;
                for place in 1..100 {
                    last = cancel(&store, &a_stream(), if place == 50 { fault } else { REASON }, 1).await;
                }
                store.lose_answers(lost);
                let projections = runner().spawn();
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
            })
            .await;
        recorder.flush().await;
        let dead = if fault == POISON { 3 } else { 2 };
        let expected = [("applied".to_owned(), 101 - dead), ("dead_lettered".to_owned(), dead)];
        assert_eq!(counts(&metrics), BTreeMap::from(expected), "answers lost: {lost}");
    }
}

/// The checkpoint was found behind an event that had failed since it was there already, and nothing counted it.
#[tokio::test]
async fn an_event_that_fails_since_it_was_applied_already_is_told_as_applied() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let store = Faulty::default();
            let projections = ProjectionRunner::new(store.clone()).projection(Careful).max_retries(0).spawn();
            projections.wait_for(Position::START).await.unwrap();
            store.blame_answers(1);
            projections.wait_for(cancel(&store, &a_stream(), REASON, 1).await).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    recorder.flush().await;
    assert_eq!(counts(&metrics), BTreeMap::from([("applied".to_owned(), 1)]));
}

/// It was not there yet when it was counted on, so that nobody else can have made it of ours.
#[tokio::test]
async fn an_event_that_somebody_else_has_passed_over_is_not_told_as_applied() {
    let (recorder, metrics) = Recorder::measured();
    let scratch = Scratch::new();
    recorder
        .run(async {
            let (store, stream) = (open(&scratch.file()).await, a_stream());
            let runner = ProjectionRunner::new(store.clone()).lease(Duration::from_hours(1));
            let projections = runner.projection(Tally::sound()).spawn();
            projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
            let raw = rusqlite::Connection::open(scratch.file()).unwrap();
            raw.busy_timeout(Duration::from_secs(5)).unwrap();
            raw.execute("UPDATE projection_partitions SET position = 2", []).unwrap();
            for _ in 0..2 {
                projections.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
            }
            projections.shutdown().await.unwrap();
            assert_eq!(seen(&store).await, [1, 3]);
        })
        .await;
    recorder.flush().await;
    assert_eq!(counts(&metrics), BTreeMap::from([("applied".to_owned(), 2)]));
}

#[tokio::test]
async fn each_retry_is_counted_once() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let store = sqlite().await;
            let tally = Tally { poison: "poison", panics: false, left: Arc::new(AtomicUsize::new(2)) };
            let projections = ProjectionRunner::new(store.clone()).projection(tally).spawn();
            projections.wait_for(Position::START).await.unwrap();
            projections.wait_for(cancel(&store, &a_stream(), POISON, 1).await).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    recorder.flush().await;
    let retries = Measured::last(&metrics).into_iter().filter(|point| point.name == names::EVENTSOURCE_RETRIES);
    let told = retries.map(|point| (point.said("eventsource.component"), point.said("error.type"), point.count));
    assert_eq!(told.collect::<Vec<_>>(), [("projection".to_owned(), "projection".to_owned(), 2)]);
}
