//! Clocks that disagree, or are put forward and back: no lag is negative, and each time is counted.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{MemoryStore, StreamId};
use eventsource_tests::clocks::Moved;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::own_bus::remote;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry::Value;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use uuid::Uuid;

const HOUR: i64 = 3600;

struct Follows;

#[projection(enable_tracing = true)]
impl Follows {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) {}
}

/// The same, in trouble.
struct Fails;

#[projection(name = "Follows")]
impl Fails {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("not now"))
    }
}

struct Anew;

#[projection]
impl Anew {
    #[projection(reset)]
    fn clear(&self) {}

    fn cancelled(&self, _: &Recorded<OrderCancelled>) {}
}

/// A year of history that was replayed was a year of lag.
#[tokio::test]
async fn a_rebuild_is_not_late_with_the_past() {
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let store = MemoryStore::new();
        let event = OrderCancelled { reason: "too slow".into() };
        let orders = Repository::<Order, _>::new(store.clone());
        let appended = orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, event).await.unwrap();
        for rebuild in [false, true] {
            let runner = ProjectionRunner::new(store.clone()).projection(Anew);
            let following = if rebuild { runner.rebuild() } else { runner }.spawn();
            following.wait_for(appended.position).await.unwrap();
            following.shutdown().await.unwrap();
        }
    };
    recorder.run(work).await;
    recorder.flush().await;
    assert_eq!(lags(&metrics).0, 1);
}

/// How many lags there are, the least of them, and all together.
fn lags(metrics: &InMemoryMetricExporter) -> (u64, f64, f64) {
    let finished = metrics.get_finished_metrics().unwrap();
    let mut all = finished.last().unwrap().scope_metrics().flat_map(ScopeMetrics::metrics);
    let lag = all.find(|metric| metric.name() == "cqrs.projection.lag").expect("there are lags");
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = lag.data() else { panic!("no histogram") };
    let point = histogram.data_points().next().unwrap();
    (point.count(), point.min().unwrap(), point.sum())
}

/// The components that count skew, and how much.
fn skews(metrics: &InMemoryMetricExporter) -> Vec<(String, u64)> {
    let skews = Measured::last(metrics).into_iter().filter(|point| point.name == "eventsource.clock.skew");
    skews.map(|point| (point.said("eventsource.component"), point.count)).collect()
}

/// Cancels an order for each step of a clock, with the writer's clock put so, then the projection's.
async fn follow(steps: &[(i64, i64)]) -> (Recorder, InMemoryMetricExporter) {
    let ((recorder, metrics), (writes, reads)) =
        (Recorder::measured(), (Moved::ahead(Duration::ZERO), Moved::ahead(Duration::ZERO)));
    let store = MemoryStore::new();
    let orders = Repository::<Order, _>::new(store.clone()).with_clock(Arc::new(writes.clone()));
    let work = async {
        let following = ProjectionRunner::new(store).with_clock(Arc::new(reads.clone())).projection(Follows).spawn();
        following.wait_for(Position::START).await.unwrap();
        for (write, read) in steps {
            writes.put(*write);
            reads.put(*read);
            let event = OrderCancelled { reason: "too slow".into() };
            let appended = orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, event).await.unwrap();
            following.wait_for(appended.position).await.unwrap();
        }
        following.shutdown().await.unwrap();
    };
    recorder.run(work).await;
    recorder.flush().await;
    (recorder, metrics)
}

#[tokio::test]
async fn an_event_from_the_future_has_no_lag_and_counts_as_skew() {
    let (recorder, metrics) = follow(&[(HOUR, 0)]).await;
    assert_eq!(lags(&metrics), (1, 0.0, 0.0));
    assert_eq!(skews(&metrics), [("projection".to_owned(), 1)]);
    let trees = recorder.trees();
    let lag = trees.span("projection.Follows").attributes.iter().find(|key| key.key.as_str() == "cqrs.projection.lag");
    assert_eq!(lag.unwrap().value, Value::F64(0.0));
}

#[tokio::test]
async fn clocks_that_step_forward_and_back_make_no_lag_negative() {
    let (_, metrics) = follow(&[(0, 0), (-HOUR, 0), (HOUR, 0), (0, HOUR), (0, -HOUR), (HOUR, HOUR)]).await;
    let (count, least, sum) = lags(&metrics);
    assert!(count == 6 && least >= 0.0, "{count} lags, from {least}");
    // Two events are an hour old.
    assert!((7200.0..7300.0).contains(&sum), "{sum}");
    assert_eq!(skews(&metrics), [("projection".to_owned(), 2)]);
}

/// A projection's letters were measured by the system's clock.
#[tokio::test]
async fn a_letter_is_retried_by_the_clock_that_was_given() {
    let ((recorder, metrics), clock, store) = (Recorder::measured(), Moved::ahead(Duration::ZERO), MemoryStore::new());
    let orders = Repository::<Order, _>::new(store.clone());
    let runner = || ProjectionRunner::new(store.clone()).with_clock(Arc::new(clock.clone()));
    let failing = runner().on_failure(OnFailure::DeadLetter).max_retries(0).projection(Fails).spawn();
    let ids = [Uuid::now_v7(), Uuid::now_v7()];
    for id in &ids {
        let event = OrderCancelled { reason: "too slow".into() };
        let appended = orders.append(id, ExpectedVersion::NoStream, event).await.unwrap();
        failing.wait_for(appended.position).await.unwrap();
    }
    failing.shutdown().await.unwrap();

    clock.put(HOUR);
    let letters = runner().dead_letters(Follows);
    for id in ids {
        let retried = recorder.run(letters.retry(&StreamId::new("Order", id))).await;
        assert_eq!(retried.unwrap(), 1);
    }
    recorder.flush().await;
    let (count, least, _) = lags(&metrics);
    assert!(count == 2 && (3600.0..3700.0).contains(&least), "{count} lags, from {least}");
}

#[tokio::test]
async fn clocks_that_agree_count_no_skew() {
    let (_, metrics) = follow(&[(0, 0), (0, 0)]).await;
    assert_eq!(skews(&metrics), []);
}

#[tokio::test]
async fn a_message_from_the_future_is_fresh_and_counts_as_skew() {
    let ((recorder, metrics), behind) = (Recorder::measured(), Moved::ahead(Duration::ZERO));
    behind.put(-HOUR);
    let bus = remote().with_clock(Arc::new(behind.clone()));
    let work = async {
        let running = bus.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
        bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await.unwrap();
        while running.tally().acknowledged < 1 {
            tokio::task::yield_now().await;
        }
        running.shutdown().await.unwrap();
    };
    recorder.run(work).await;
    recorder.flush().await;
    assert_eq!(skews(&metrics), [("bus".to_owned(), 1)]);
    assert_eq!(recorder.trees().names(), "send orders(process orders)");
}
