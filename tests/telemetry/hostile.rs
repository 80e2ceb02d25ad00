//! Whatever the exporters do, the program does the same, and stores the same bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::clock::Counting;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteStore;
use eventsource_runtime::telemetry::TelemetryBuilder;
use eventsource_tests::everything::{self, ANSWERS, Off};
use eventsource_tests::exporters::{Deed, Hostile};
use eventsource_tests::orders::{Order, OrderQueries, OrderReadModel, OrdersByStatus, ShipOrder};
use eventsource_tests::scratch::Scratch;
use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SamplingResult, ShouldSample, Span, SpanData, SpanProcessor};
use rusqlite::Connection;
use rusqlite::types::Value;
use uuid::Uuid;

use crate::place;

/// What the program answers, line by line: commands that are taken, refused and retried, a projection, a query. After
/// half of the commands it does something else.
async fn answers(path: &Path, midway: impl AsyncFnOnce()) -> Vec<String> {
    let store = SqliteStore::open(path).await.unwrap();
    let orders = Repository::<Order, _>::new(store.clone()).with_clock(Arc::new(Counting::default()));
    let bus = CommandBus::builder().aggregate(orders).build();
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
    let (mut told, mut midway) = (Vec::new(), Some(midway));
    for order in 1..=40 {
        if order == 20
            && let Some(midway) = midway.take()
        {
            midway().await;
        }
        let order = Uuid::from_u128(order);
        for command in 0..3 {
            let answer = match command {
                0 | 1 => bus.dispatch(place(order)).await,
                _ => {
                    let (carrier, tracking) = ("North Post".into(), "T-1".into());
                    bus.dispatch(ShipOrder { order_id: order, carrier, tracking }).await
                }
            };
            told.push(match answer {
                Ok(committed) => format!("{:?}", (committed.version, committed.position)),
                Err(error) => error.to_string(),
            });
        }
    }
    projections.wait_for(store.head().await.unwrap()).await.unwrap();
    let queries = QueryBus::builder().handler(OrderQueries::new(store.reader())).build();
    told.push(format!("{:?}", queries.execute(OrdersByStatus { status: "shipped".into() }).await.unwrap()));
    projections.shutdown().await.unwrap();
    store.close().await;
    told
}

/// Every row of every table, without the columns of the trace context and what a lease draws anew each time.
fn stored(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut rows = Vec::new();
    for table in names("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let kept: Vec<_> = columns.into_iter().filter(|column| !differs(column)).collect();
        let listed = kept.join("\", \"");
        let mut statement = connection.prepare(&format!("SELECT \"{listed}\" FROM \"{table}\"")).unwrap();
        let read = statement.query_map([], |row| {
            (0..kept.len()).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()
        });
        rows.extend(read.unwrap().map(|row| format!("{table}: {:?}", row.unwrap())));
    }
    rows.sort_unstable();
    rows
}

fn differs(column: &str) -> bool {
    let drawn = ["traceparent", "tracestate", "owner", "holder", "expires_at", "updated_at", "token", "lease_id"];
    drawn.contains(&column)
}

/// Answers and rows.
pub(crate) type Outcome = (Vec<String>, Vec<String>);

/// With the telemetry that there is, or none.
pub(crate) async fn outcome_here() -> Outcome {
    let scratch = Scratch::new();
    (answers(&scratch.file(), async || ()).await, stored(&scratch.file()))
}

/// The same with telemetry, whose exporters are called long before the program ends.
async fn outcome(builder: TelemetryBuilder, hostile: Option<&Hostile>) -> Outcome {
    let scratch = Scratch::new();
    // Those that hang hold up the flush as long as they may.
    let patience =
        if hostile.is_some_and(Hostile::hangs) { Duration::from_millis(100) } else { Duration::from_mins(5) };
    let telemetry = builder.shutdown_timeout(patience).build().unwrap();
    let midway = async || {
        let flushed = telemetry.force_flush().await;
        assert_eq!(flushed.is_err(), hostile.is_some(), "{flushed:?}");
        while hostile.is_some_and(|hostile| hostile.calls().contains(&0)) {
            tokio::task::yield_now().await;
        }
    };
    let told = telemetry.run(answers(&scratch.file(), midway)).await;
    let _ = telemetry.shutdown().await;
    (told, stored(&scratch.file()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_exporters_do_the_answers_and_the_stored_bytes_are_the_same() {
    let expected = outcome_here().await;
    assert_eq!((expected.0.len(), expected.1.len() > 120), (121, true), "{expected:#?}");
    assert_eq!(outcome(Telemetry::builder("tests"), None).await, expected, "no exporter");
    for (name, deed) in [("refusing", Deed::Refuse), ("panicking", Deed::Panic), ("hanging", Deed::Hang)] {
        let hostile = Hostile::new(deed);
        assert_eq!(outcome(all_of(&hostile), Some(&hostile)).await, expected, "{name}");
    }
}

/// On every component: buses, process managers and dead letters, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_exporters_do_all_components_answer_the_same() {
    let everything = async || everything::run(Off::default()).await.0;
    assert_eq!(everything().await, ANSWERS, "no telemetry");
    for deed in [Deed::Refuse, Deed::Panic, Deed::Hang] {
        let telemetry = all_of(&Hostile::new(deed)).shutdown_timeout(Duration::ZERO).build().unwrap();
        assert_eq!(telemetry.run(everything()).await, ANSWERS, "{deed:?}");
        let _ = telemetry.shutdown().await;
    }
    let panicking = Telemetry::builder("tests").span_processor(Panics).sampler(Panics).build().unwrap();
    assert_eq!(panicking.run(everything()).await, ANSWERS, "a sampler and a processor");
}

/// What is called on the threads that make and end spans, and panics each time.
#[derive(Clone, Debug)]
struct Panics;

impl SpanProcessor for Panics {
    fn on_start(&self, _: &mut Span, _: &Context) {
        panic!("a processor's own");
    }

    fn on_end(&self, _: SpanData) {
        panic!("a processor's own");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl ShouldSample for Panics {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        panic!("a sampler's own");
    }
}

/// The second panic came while the first unwound, and ended the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_panics_on_the_thread_of_a_span_changes_no_answer() {
    let expected = outcome_here().await;
    let exporter = Hostile::new(Deed::Panic);
    let exporting = Telemetry::builder("tests").simple_exporter(exporter.clone());
    assert_eq!(outcome(exporting, None).await, expected, "an exporter");
    assert!(exporter.calls()[0] > 120, "{:?}", exporter.calls());
    let processing = Telemetry::builder("tests").span_processor(Panics);
    assert_eq!(outcome(processing, None).await, expected, "a processor");
    let sampling = Telemetry::builder("tests").span_processor(Panics).sampler(Panics);
    assert_eq!(outcome(sampling, None).await, expected, "a sampler");
}

fn all_of(hostile: &Hostile) -> TelemetryBuilder {
    let builder = Telemetry::builder("tests").span_exporter(hostile.clone()).metric_exporter(hostile.clone());
    builder.log_exporter(hostile.clone()).span_events_as_logs()
}
