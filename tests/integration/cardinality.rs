//! However many aggregates there are, and whatever others send, the series of metrics stay few: no id becomes an
//! attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{MemoryStore, StreamId};
use eventsource_runtime::telemetry::{MAX_NAMES, span};
use eventsource_tests::alone::run_alone;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::own_bus::routing;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry::Context as OtelContext;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use uuid::Uuid;

use crate::{bus, place};

/// What one kind of command can make of one metric: each status, with each name of a failure.
const MOST_SERIES: usize = 4;

/// `EVENTSOURCE_TESTS_AGGREGATES` sets how many there are: a million in `tests/run --long`.
fn many() -> u128 {
    std::env::var("EVENTSOURCE_TESTS_AGGREGATES").map_or(5000, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_million_aggregates_make_no_more_series_than_one() {
    let many = many();
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let mut commands = bus(&MemoryStore::new());
        for nth in 0..many {
            // A store in memory keeps all of them.
            if nth % 100_000 == 0 {
                commands = bus(&MemoryStore::new());
            }
            let order = place(Uuid::from_u128(nth));
            commands.dispatch(order.clone()).await.unwrap();
            if nth % 2 == 0 {
                commands.dispatch(order).await.unwrap_err();
            }
        }
    };
    // A million spans would have to be kept.
    recorder.run(span("muted").options(|options| options.enable_tracing(false)).run(work)).await;
    recorder.flush().await;
    assert_few(&metrics, MOST_SERIES);
}

fn assert_few(metrics: &InMemoryMetricExporter, most: usize) {
    let mut series = BTreeMap::<_, usize>::new();
    for point in Measured::last(metrics) {
        *series.entry(point.name).or_default() += 1;
    }
    assert!(series.len() >= 3 && series.values().all(|series| *series <= most), "{series:?}");
}

/// The names of spans.
#[derive(Clone, Debug, Default)]
struct SpanNames(Arc<Mutex<BTreeSet<String>>>);

impl SpanProcessor for SpanNames {
    fn on_start(&self, _: &mut Span, _: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().insert(span.name.into_owned());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A producer that puts ids into the types of its events, and with that into routing keys.
#[tokio::test]
async fn ids_in_routing_keys_make_no_more_series_nor_names_of_spans_than_are_declared() {
    let (metrics, names, bus) = (InMemoryMetricExporter::default(), SpanNames::default(), routing());
    let builder = Telemetry::builder("tests").metric_exporter(metrics.clone()).span_processor(names.clone());
    let telemetry = builder.build().unwrap();
    let work = async {
        let running = bus.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
        let many = many().min(100_000);
        for nth in 0..many {
            let event_type = format!("Placed{nth}");
            bus.publish(Message::new(StreamId::new("Order", nth), &*event_type, "{}")).await.unwrap();
        }
        while u128::from(running.tally().acknowledged) < many {
            tokio::task::yield_now().await;
        }
        running.shutdown().await.unwrap();
    };
    telemetry.run(work).await;
    telemetry.force_flush().await.unwrap();
    // Beside those that are told apart there is the exchange, where the others go.
    assert_few(&metrics, MAX_NAMES + 1);
    let names = names.0.lock().unwrap().clone();
    assert!(names.contains("send orders") && names.contains("process orders"), "{names:?}");
    assert!(names.len() <= MAX_NAMES + 2, "{} names", names.len());
    telemetry.shutdown().await.unwrap();
}

/// Those who listen for a moment, each in a group of its own. Groups are kept apart by the process.
#[test]
fn ids_in_groups_make_no_more_series_than_are_declared() {
    run_alone("cardinality::ids_in_groups_make_no_more_series_than_are_declared", async {
        let (metrics, bus) = (InMemoryMetricExporter::default(), InProcessBus::new());
        let telemetry = Telemetry::builder("tests").metric_exporter(metrics.clone()).build().unwrap();
        let listen = async {
            let mut all = Vec::new();
            for nth in 0..MAX_NAMES + 200 {
                let subscription = bus.subscribe(format!("page-{nth}"));
                all.push(subscription.handle(async |_: Received| Ok(())).await.unwrap());
            }
            bus.publish(Message::new(StreamId::new("Order", 1), "Placed", "{}")).await.unwrap();
            for running in &all {
                while running.tally().acknowledged < 1 {
                    tokio::task::yield_now().await;
                }
            }
            all
        };
        // What is running is told, too.
        let running = telemetry.run(listen).await;
        telemetry.force_flush().await.unwrap();
        assert_few(&metrics, MAX_NAMES + 1);
        drop(running);
        telemetry.shutdown().await.unwrap();
    });
}

struct Counting;

#[projection]
impl Counting {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_of_many_aggregates_makes_no_more_series_than_of_one() {
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let store = MemoryStore::new();
        let orders = Repository::<Order, _>::new(store.clone()).enable_tracing(false);
        let mut last = Position::START;
        for nth in 0..many().min(100_000) {
            let event = OrderCancelled { reason: "too slow".into() };
            let id = Uuid::from_u128(nth);
            last = orders.append(&id, ExpectedVersion::NoStream, vec![event]).await.unwrap().position;
        }
        let projections = ProjectionRunner::new(store).projection(Counting).spawn();
        projections.wait_for(last).await.unwrap();
        recorder.flush().await;
        projections.shutdown().await.unwrap();
    };
    recorder.run(work).await;
    assert_few(&metrics, MOST_SERIES);
}
