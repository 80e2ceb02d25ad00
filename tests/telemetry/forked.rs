//! A process that is forked from one with telemetry has none of its threads, and a copy of what they had to export.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{Telemetry, TelemetryError, span};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::placing::{bus, place};
use eventsource_tests::scratch::Scratch;
use fork::{Fork, fork, waitpid};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use uuid::Uuid;

/// Names the file of the process that forks.
const FILE: &str = "EVENTSOURCE_TESTS_EXPORTED";
/// For how long a flush would wait for an export.
const TIMEOUT: Duration = Duration::from_mins(2);
/// More than a queue holds.
const MANY: usize = 5000;

/// Writes the process and the name of each span.
#[derive(Debug)]
struct Exporter(PathBuf);

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
        for span in batch {
            writeln!(file, "{} {}", process::id(), span.name).unwrap();
        }
        Ok(())
    }
}

#[test]
fn a_forked_process_exports_nothing_and_takes_nothing_from_its_parent() {
    let scratch = Scratch::new();
    let file = scratch.file();
    passed(alone("forked::forks").env(FILE, &file), 1);
    let exported = fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> = exported.lines().map(|line| line.split_once(' ').unwrap()).collect();
    lines.sort_unstable();
    assert!(lines.iter().all(|(process, _)| *process == lines[0].0), "{exported}");
    assert_eq!(lines.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["after", "before", "waiting"]);
}

/// Does its work only in the process that the test above starts.
#[test]
fn forks() {
    if !is_alone() {
        return;
    }
    let telemetry = Telemetry::builder("tests")
        .span_exporter(Exporter(std::env::var_os(FILE).unwrap().into()))
        .metric_exporter(InMemoryMetricExporter::default())
        .log_exporter(InMemoryLogExporter::default())
        .shutdown_timeout(TIMEOUT)
        .install()
        .unwrap();
    // What exports is idle then: a lock that it holds would stay held in the child.
    span("before").in_scope(|| ());
    telemetry.force_flush_blocking().unwrap();
    span("waiting").in_scope(|| ());
    match fork().unwrap() {
        Fork::Child => {
            // The harness would catch a panic, and the process end well.
            let worked = catch_unwind(AssertUnwindSafe(|| works(telemetry))).unwrap_or(false);
            process::exit(i32::from(!worked));
        }
        Fork::Parent(child) => assert_eq!(waitpid(child).unwrap(), 0),
    }
    span("after").in_scope(|| ());
    telemetry.shutdown_blocking().unwrap();
}

/// Whether a forked process does its work, and hears at once that none of it is exported.
fn works(telemetry: Telemetry) -> bool {
    let begun = Instant::now();
    for _ in 0..MANY {
        span("child").in_scope(|| ());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (placed, flushed) = runtime.block_on(async {
        let placed = bus(&MemoryStore::new()).dispatch(place(Uuid::now_v7())).await;
        (placed.is_ok(), telemetry.force_flush().await)
    });
    let told = [flushed, telemetry.force_flush_blocking(), telemetry.shutdown_blocking()];
    drop(telemetry);
    let is_told = told.iter().all(|told| matches!(told, Err(TelemetryError::Forked)));
    placed && is_told && begun.elapsed() < Duration::from_secs(4)
}
