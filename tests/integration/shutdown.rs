//! Shutting down keeps its deadline, wherever it is called from and whatever the exporter does.

use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use eventsource_runtime::telemetry::{Telemetry, TelemetryError, names, span};
use eventsource_tests::exporters::{Deed, Hostile};
use eventsource_tests::registry::Measured;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::hold_panic_hook;

/// How long a shut-down may take here.
const DEADLINE: Duration = Duration::from_millis(200);
/// What it may be late by at the best of so many tries: more is no accident of the machine.
const LATE: Duration = Duration::from_millis(100);
const TRIES: usize = 20;
/// What a busy machine may add to any of them.
const SLACK: Duration = Duration::from_secs(30);

fn hanging() -> Telemetry {
    let hostile = || Hostile::new(Deed::Hang);
    let builder =
        Telemetry::builder("tests").span_exporter(hostile()).metric_exporter(hostile()).log_exporter(hostile());
    let telemetry = builder.shutdown_timeout(DEADLINE).build().unwrap();
    let attached = telemetry.attach();
    span("left").in_scope(|| ());
    drop(attached);
    telemetry
}

/// Something that a deadline ends: each time not long after it, and once soon.
fn assert_soon(place: &str, mut measure: impl FnMut() -> Duration) {
    let mut all = Vec::new();
    while all.len() < TRIES {
        let taken = measure();
        assert!(taken < DEADLINE + SLACK, "{place}: {taken:?}");
        if taken < DEADLINE + LATE {
            return;
        }
        all.push(taken);
    }
    panic!("{place}: {all:?}");
}

/// How long a shut-down took that reached its deadline.
fn timed_out(place: &str, shut_down: impl FnOnce() -> Result<(), TelemetryError>) -> Duration {
    let started = Instant::now();
    let result = shut_down();
    let taken = started.elapsed();
    assert!(matches!(result, Err(TelemetryError::TimedOut { .. })), "{place}: {result:?}");
    assert!(taken >= DEADLINE, "{place}: {taken:?}");
    taken
}

/// A shut-down that reaches its deadline, neither before nor long after.
fn assert_in_time(place: &str, mut shut_down: impl FnMut() -> Result<(), TelemetryError>) {
    assert_soon(place, || timed_out(place, &mut shut_down));
}

fn many(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().unwrap()
}

#[test]
fn a_hanging_exporter_holds_up_no_shutdown_wherever_it_is_called() {
    let here = Builder::new_current_thread().build().unwrap();
    assert_in_time("current thread", || here.block_on(async { hanging().shutdown().await }));
    for workers in [1, 4] {
        let runtime = many(workers);
        let inside = || runtime.block_on(async { tokio::spawn(async { hanging().shutdown().await }).await.unwrap() });
        assert_in_time("in a task", inside);
        let blocking =
            || runtime.block_on(async { tokio::spawn(async { hanging().shutdown_blocking() }).await.unwrap() });
        assert_in_time("blocking a worker", blocking);
    }
    assert_in_time("no runtime", || hanging().shutdown_blocking());
    assert_in_time("once", || {
        let telemetry = hanging();
        let first = telemetry.shutdown_blocking();
        // A second one does nothing, and so it does not come too late.
        telemetry.shutdown_blocking().unwrap();
        first
    });
}

#[test]
fn hanging_exporters_hold_up_no_flush_wherever_and_however_often_it_is_called() {
    let here = Builder::new_current_thread().build().unwrap();
    assert_soon("all of it", || flushed_and_shut_down(&here));
}

/// How long the end of it took.
fn flushed_and_shut_down(here: &Runtime) -> Duration {
    let telemetry = Arc::new(hanging());
    for round in ["once", "twice"] {
        assert_in_time(round, || here.block_on(telemetry.force_flush()));
        for workers in [1, 4] {
            let (runtime, own) = (many(workers), || Arc::clone(&telemetry));
            let twice = async |own: Arc<Telemetry>| tokio::join!(own.force_flush(), own.force_flush()).0;
            assert_in_time(round, || runtime.block_on(runtime.spawn(twice(own()))).unwrap());
            let blocking = async |own: Arc<Telemetry>| own.force_flush_blocking();
            assert_in_time(round, || runtime.block_on(runtime.spawn(blocking(own()))).unwrap());
        }
        assert_in_time(round, || telemetry.force_flush_blocking());
    }
    timed_out("the end", || telemetry.shutdown_blocking())
}

#[test]
fn shutting_down_in_a_panic_hook_keeps_the_deadline() {
    assert_soon("in a panic hook", in_a_panic_hook);
}

/// How long a flush and a shut-down took there, the longer of them.
fn in_a_panic_hook() -> Duration {
    let telemetry = hanging();
    let (tell, told) = mpsc::channel();
    let _held = hold_panic_hook();
    let before = panic::take_hook();
    let ours = std::thread::current().id();
    // Other tests of this process may panic meanwhile.
    panic::set_hook(Box::new(move |_| {
        if std::thread::current().id() == ours {
            let asked = [Telemetry::force_flush_blocking, Telemetry::shutdown_blocking].map(|ask| {
                let started = Instant::now();
                let result = ask(&telemetry);
                (matches!(result, Err(TelemetryError::TimedOut { .. })), started.elapsed())
            });
            let _ = tell.send(asked);
        }
    }));
    let _ = panic::catch_unwind(|| panic!("as it must"));
    panic::set_hook(before);
    let asked = told.recv().unwrap();
    assert!(asked.iter().all(|(timed_out, _)| *timed_out), "{asked:?}");
    asked.map(|(_, taken)| taken).into_iter().max().unwrap()
}

/// Takes all that it is given, and tells how much; it is dropped when it was shut down.
#[derive(Debug)]
struct Telling(Sender<usize>);

impl Telling {
    fn new() -> (Self, Receiver<usize>) {
        let (tell, told) = mpsc::channel();
        (Self(tell), told)
    }
}

impl SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let _ = self.0.send(batch.len());
        Ok(())
    }
}

impl LogExporter for Telling {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let _ = self.0.send(batch.iter().count());
        Ok(())
    }
}

/// OpenTelemetry's providers ask their processors one after the other, and never came to the second.
#[test]
fn a_hanging_exporter_keeps_no_other_from_exporting_what_is_left() {
    assert_soon("the end", exported_beside_a_hanging_one);
}

/// How long it took at most to come, and the end of it. Without being asked, spans are exported after five seconds.
fn exported_beside_a_hanging_one() -> Duration {
    let (hostile, (spans, of_spans), (logs, of_logs)) = (Hostile::new(Deed::Hang), Telling::new(), Telling::new());
    let builder = Telemetry::builder("tests").span_exporter(hostile.clone()).span_exporter(spans);
    let builder = builder.log_exporter(hostile).log_exporter(logs).shutdown_timeout(DEADLINE);
    let telemetry = builder.build().unwrap();
    let told = [of_spans, of_logs];
    let work = || {
        let _attached = telemetry.attach();
        let layer = telemetry.log_layer();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            span("left").in_scope(|| tracing::info!(target: "orders", "left"));
        });
    };
    let comes = |round: &str| {
        let asked = Instant::now();
        assert_eq!(told.each_ref().map(|told| told.recv_timeout(SLACK)), [Ok(1), Ok(1)], "{round}");
        asked.elapsed()
    };
    let mut taken = Duration::ZERO;
    for round in ["once", "twice"] {
        work();
        assert_in_time(round, || telemetry.force_flush_blocking());
        taken = taken.max(comes(round));
    }
    work();
    taken = taken.max(timed_out("the end", || telemetry.shutdown_blocking()));
    taken = taken.max(comes("the end"));
    let ended = Err(RecvTimeoutError::Disconnected);
    assert_eq!(told.each_ref().map(|told| told.recv_timeout(SLACK)), [ended, ended], "they were shut down");
    taken
}

/// Has no shutdown but the one without a time-out, and tells of it.
#[derive(Debug)]
struct Ending(Sender<&'static str>);

impl SpanExporter for Ending {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self) -> OTelSdkResult {
        let _ = self.0.send("spans");
        Ok(())
    }
}

impl LogExporter for Ending {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self) -> OTelSdkResult {
        let _ = self.0.send("logs");
        Ok(())
    }
}

/// OpenTelemetry calls that one, and ours passed on the other.
#[test]
fn an_exporter_that_knows_of_no_time_out_is_shut_down() {
    let (tell, told) = mpsc::channel();
    let builder = Telemetry::builder("tests").span_exporter(Ending(tell.clone())).log_exporter(Ending(tell));
    builder.shutdown_timeout(SLACK).build().unwrap().shutdown_blocking().unwrap();
    let mut ended: Vec<_> = told.iter().collect();
    ended.sort_unstable();
    assert_eq!(ended, ["logs", "spans"]);
}

/// They were exported beside the spans, and a short job never told of its own.
#[test]
fn the_last_metrics_tell_of_the_last_spans() {
    let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let builder = Telemetry::builder("tests").span_exporter(spans).metric_exporter(metrics.clone());
    let telemetry = builder.shutdown_timeout(SLACK).build().unwrap();
    {
        let _attached = telemetry.attach();
        span("last").in_scope(|| ());
    }
    telemetry.shutdown_blocking().unwrap();
    let points = Measured::last(&metrics);
    let processed = points.iter().filter(|point| point.name == names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED);
    let exported: u64 = processed.filter(|point| point.attributes.is_empty()).map(|point| point.count).sum();
    assert_eq!(exported, 1, "{points:?}");
}
