//! However many aggregates there are, and whatever others send, the series of metrics stay few: no id becomes an
//! attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::bus::{InProcessBus, Message, Received};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Backend, Projection};
use eventsource_runtime::store::{Memory, MemoryStore, MemoryTransaction, NewEvent, Origin, StreamId};
use eventsource_runtime::telemetry::{MAX_NAMES, names, span};
use eventsource_tests::alone::run_alone;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::own_bus::routing;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry::Context as OtelContext;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What one kind of command can make of one metric: each status, with each name of a failure.
const MOST_SERIES: usize = 4;

#[derive(Clone, Event, Serialize, Deserialize)]
struct Opened {}

#[derive(Default, Aggregate)]
#[aggregate(id = u32, error = Refusal, events(Opened))]
struct Gate {
    is_open: bool,
}

impl Apply<Opened> for Gate {
    fn apply(&mut self, _: Opened) {
        self.is_open = true;
    }
}

/// One that carries a number in its name, as those do that are made of others' texts.
#[derive(thiserror::Error)]
#[error("refused")]
struct Refusal(u32);

impl Debug for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal{}", self.0)
    }
}

/// Opens a gate once.
#[derive(Clone, Command, Deserialize)]
#[command(aggregate = Gate)]
struct Open {
    #[command(id)]
    gate: u32,
    /// The number in the name of the refusal, if it is open.
    refusal: u32,
}

#[command_handler]
impl Gate {
    fn open(&self, command: Open) -> Result<Opened, Refusal> {
        if self.is_open { Err(Refusal(command.refusal)) } else { Ok(Opened {}) }
    }
}

fn gates() -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Gate, _>::new(MemoryStore::new())).build()
}

#[tokio::test]
async fn a_million_aggregates_make_no_more_series_than_one() {
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let mut commands = gates();
        for gate in 0..1_000_000 {
            // A store in memory keeps all of them.
            if gate % 100_000 == 0 {
                commands = gates();
            }
            commands.dispatch(Open { gate, refusal: 0 }).await.unwrap();
            if gate % 2 == 0 {
                commands.dispatch(Open { gate, refusal: 0 }).await.unwrap_err();
            }
        }
    };
    // A million spans would have to be kept.
    recorder.run(span("muted").options(|options| options.enable_tracing(false)).run(work)).await;
    recorder.flush().await;
    assert_few(&metrics, MOST_SERIES);
    assert_eq!(Measured::total(&metrics, names::CQRS_COMMAND_TOTAL), 1_500_000);
}

/// How many names there are beside those that are told apart.
const OTHERS: usize = 200;

/// What was measured of each value of an attribute of a metric, of those that have it.
fn by_name(metrics: &InMemoryMetricExporter, metric: &str, key: &str) -> BTreeMap<String, u64> {
    let points = Measured::last(metrics).into_iter().filter(|point| point.name == metric);
    let mut series = BTreeMap::new();
    for (name, count) in points.map(|point| (point.said(key), point.count)).filter(|(name, _)| !name.is_empty()) {
        assert_eq!(series.insert(name, count), None, "one series for each name");
    }
    series
}

/// The first names, with one measurement each, and one series for the others.
fn assert_bounded(mut series: BTreeMap<String, u64>, name: impl Fn(usize) -> String) {
    assert_eq!(series.remove("_OTHER"), Some(OTHERS as u64));
    assert_eq!(series, (0..MAX_NAMES).map(|nth| (name(nth), 1)).collect());
}

/// Errors whose names are made of what others send.
#[tokio::test]
async fn names_of_errors_make_no_more_series_than_are_declared() {
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let (commands, gate) = (gates(), 1);
        commands.dispatch(Open { gate, refusal: 0 }).await.unwrap();
        for refusal in 0..(MAX_NAMES + OTHERS).try_into().unwrap() {
            commands.dispatch(Open { gate, refusal }).await.unwrap_err();
        }
    };
    recorder.run(work).await;
    recorder.flush().await;
    for metric in [names::CQRS_COMMAND_TOTAL, names::CQRS_COMMAND_DURATION] {
        assert_bounded(by_name(&metrics, metric, names::ERROR_TYPE), |nth| format!("Refusal{nth}"));
    }
    assert_few(&metrics, MAX_NAMES + 2);
}

/// Handles events of types that are not known before it runs.
struct Whatever(Vec<&'static str>);

impl Projection<Memory> for Whatever {
    fn name(&self) -> &'static str {
        "Whatever"
    }

    fn span_name(&self) -> &'static str {
        "projection.Whatever"
    }

    fn event_types(&self) -> Vec<&'static str> {
        self.0.clone()
    }

    fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a MemoryTransaction) -> <Memory as Backend>::Step<'a> {
        Memory::ready(Ok(()))
    }
}

#[tokio::test]
async fn types_of_events_make_no_more_series_than_are_declared() {
    let types: Vec<&'static str> = (0..MAX_NAMES + OTHERS).map(|nth| &*format!("Placed{nth}").leak()).collect();
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let (store, origin) = (MemoryStore::new(), Arc::new(Origin::at(Timestamp::from_micros(1))));
        let events = types.iter().map(|event_type| NewEvent {
            id: Uuid::now_v7(),
            event_type,
            schema_version: 1,
            payload: "{}".into(),
            origin: Arc::clone(&origin),
        });
        let appended = store.append(&StreamId::new("Order", 1), ExpectedVersion::Any, events.collect()).await.unwrap();
        let projections = ProjectionRunner::new(store).projection(Whatever(types.clone())).spawn();
        projections.wait_for(appended.position).await.unwrap();
        recorder.flush().await;
        projections.shutdown().await.unwrap();
    };
    recorder.run(work).await;
    assert_bounded(by_name(&metrics, names::CQRS_PROJECTION_LAG, names::EVENT_TYPE), |nth| format!("Placed{nth}"));
    assert_few(&metrics, MAX_NAMES + 1);
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
        let many = 20_000;
        for nth in 0..many {
            let event_type = format!("Placed{nth}");
            bus.publish(Message::new(StreamId::new("Order", nth), &*event_type, "{}")).await.unwrap();
        }
        while running.tally().acknowledged < many {
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
        for nth in 0..100_000 {
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
