//! Variables of the environment that are seen to act in a process of their own alone.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{Telemetry, TelemetryBuilder, names};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::PATIENCE;
use eventsource_tests::registry::Measured;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{InMemoryLogExporter, LogBatch, LogExporter};
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// What a program says, one of those below, in an environment with these variables.
fn said(program: &str, variables: &[(&str, &str)]) -> String {
    told(program, variables).0
}

/// The same, and the lines on its stderr that tell of settings.
fn told(program: &str, variables: &[(&str, &str)]) -> (String, Vec<String>) {
    let output = passed(alone(&format!("environment::{program}")).envs(variables.iter().copied()), 1);
    let [shown, told] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let said = shown.lines().find_map(|line| Some(line.split_once("said: ")?.1.to_owned())).expect("it says something");
    (said, told.lines().filter(|line| line.contains("eventsource::telemetry")).map(str::to_owned).collect())
}

fn telemetry() -> TelemetryBuilder {
    Telemetry::from_env("tests").shutdown_timeout(PATIENCE)
}

/// A context as a request brings it.
fn request() -> Context {
    let state = TraceState::from_key_value([("a", "b")]).unwrap();
    let ids = (TraceId::from(7_u128), SpanId::from(7_u64));
    Context::new().with_remote_span_context(SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, state))
}

/// Asks the process's propagator for the headers of a request, as the libraries of others do.
#[tokio::test]
async fn a_program_that_asks() {
    if !is_alone() {
        return;
    }
    let telemetry = telemetry().install().unwrap();
    let context = request().with_baggage([KeyValue::new("tenant", "north")]);
    let mut headers = HashMap::<String, String>::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
    println!("said: {}", headers.into_keys().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" "));
    telemetry.shutdown().await.unwrap();
}

#[test]
fn the_libraries_of_others_send_what_the_propagators_are_asked_to() {
    let headers = |propagators| said("a_program_that_asks", &[("OTEL_PROPAGATORS", propagators)]);
    assert_eq!(said("a_program_that_asks", &[]), "traceparent tracestate");
    assert_eq!(headers("tracecontext"), "traceparent tracestate");
    assert_eq!(headers("baggage"), "baggage");
    assert_eq!(headers("tracecontext,baggage"), "baggage traceparent tracestate");
    assert_eq!(headers("none"), "");
    assert_eq!(headers("b3"), "traceparent tracestate");
}

/// An exporter that takes nothing before it is let.
#[derive(Clone, Debug, Default)]
struct Held(Arc<(Mutex<bool>, Condvar)>, InMemoryLogExporter);

impl Held {
    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }

    fn let_go(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl SpanExporter for Held {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.pass();
        Ok(())
    }
}

impl LogExporter for Held {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.pass();
        self.1.export(batch).await
    }
}

/// It leaves a span and a log record.
#[traced]
fn fails() -> Result<(), std::fmt::Error> {
    Err(std::fmt::Error)
}

/// How many items of a signal were exported: those that were not have an `error.type`.
fn count(metrics: &InMemoryMetricExporter, name: &str) -> u64 {
    let points = Measured::last(metrics).into_iter().filter(|point| point.name == name);
    points.filter(|point| point.said(names::ERROR_TYPE).is_empty()).map(|point| point.count).sum()
}

/// Makes ten spans and ten log records while nothing is exported, and says how many of them there was room for.
#[tokio::test]
async fn a_program_that_is_held_up() {
    if !is_alone() {
        return;
    }
    let (held, metrics) = (Held::default(), InMemoryMetricExporter::default());
    let builder = telemetry().span_exporter(held.clone()).log_exporter(held.clone());
    let telemetry = builder.metric_exporter(metrics.clone()).install().unwrap();
    let current = request().attach();
    for _ in 0..10 {
        fails().unwrap_err();
    }
    drop(current);
    held.let_go();
    telemetry.force_flush().await.unwrap();
    let of = |name| count(&metrics, name);
    let spans = of(names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED);
    if spans < 10 {
        // It has no part in the request, nor in a span that was dropped.
        let told = async || loop {
            telemetry.force_flush().await.unwrap();
            let mut records = held.1.get_emitted_logs().unwrap().into_iter().map(|log| log.record);
            if let Some(told) = records.find(|record| record.event_name() == Some("eventsource.telemetry.lost")) {
                break told;
            }
        };
        let told = tokio::time::timeout(PATIENCE, told()).await.unwrap();
        assert!(told.trace_context().is_none(), "{told:?}");
    }
    println!("said: spans {spans}, records {}", of(names::OTEL_SDK_PROCESSOR_LOG_PROCESSED));
    telemetry.shutdown().await.unwrap();
}

/// A log record for which there was no room panicked in whoever logged it.
#[test]
fn a_queue_has_the_room_that_it_was_asked_to_have() {
    let kept = |variables: &[(&str, &str)]| said("a_program_that_is_held_up", variables);
    assert_eq!(kept(&[]), "spans 10, records 10");
    // That spans are lost is logged, once.
    assert_eq!(kept(&[("OTEL_BSP_MAX_QUEUE_SIZE", "4")]), "spans 4, records 11");
    // And that log records are, for which there may be room by then.
    let records = kept(&[("OTEL_BLRP_MAX_QUEUE_SIZE", "4")]);
    assert!(["spans 10, records 4", "spans 10, records 5"].contains(&&*records), "{records}");
}

/// How often spans were exported.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicUsize>);

impl SpanExporter for Counted {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes ten spans, flushes them, and says how often anything was exported.
#[tokio::test]
async fn a_program_that_flushes() {
    if !is_alone() {
        return;
    }
    let (spans, metrics) = (Counted::default(), InMemoryMetricExporter::default());
    let builder = telemetry().span_exporter(spans.clone()).metric_exporter(metrics.clone());
    let telemetry = builder.install().unwrap();
    for _ in 0..10 {
        fails().unwrap_err();
    }
    telemetry.force_flush().await.unwrap();
    let metrics = metrics.get_finished_metrics().unwrap().len();
    println!("said: {} of spans, {metrics} of metrics", spans.0.load(Ordering::Relaxed));
    telemetry.shutdown().await.unwrap();
}

/// As one that ends with a `?` in its `main`.
#[test]
fn a_program_that_does_not_shut_down() {
    if !is_alone() {
        return;
    }
    let spans = Counted::default();
    let telemetry = telemetry().span_exporter(spans.clone()).install().unwrap();
    fails().unwrap_err();
    drop(telemetry);
    println!("said: {}", spans.0.load(Ordering::Relaxed));
}

#[test]
fn what_has_ended_is_exported_where_a_set_up_is_dropped() {
    assert_eq!(said("a_program_that_does_not_shut_down", &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]), "1");
}

/// How many log records each export had.
#[derive(Clone, Debug, Default)]
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl LogExporter for Sizes {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.lock().unwrap().push(batch.iter().count());
        Ok(())
    }
}

/// Makes ten log records, flushes them, and says how many were exported at a time at most.
#[tokio::test]
async fn a_program_that_logs() {
    if !is_alone() {
        return;
    }
    let sizes = Sizes::default();
    let telemetry = telemetry().log_exporter(sizes.clone()).install().unwrap();
    for _ in 0..10 {
        fails().unwrap_err();
    }
    telemetry.force_flush().await.unwrap();
    let sizes = sizes.0.lock().unwrap().clone();
    println!("said: {} of {}", sizes.iter().max().unwrap(), sizes.iter().sum::<usize>());
    telemetry.shutdown().await.unwrap();
}

#[test]
fn so_many_log_records_are_exported_at_a_time_as_was_asked_for() {
    let most = ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "3");
    let unhurried = ("OTEL_BLRP_SCHEDULE_DELAY", "3600000");
    assert_eq!(said("a_program_that_logs", &[unhurried]), "10 of 10");
    assert_eq!(said("a_program_that_logs", &[unhurried, most]), "3 of 10");
}

/// The threads that export went round and round, or exported span by span.
#[test]
fn zero_is_as_good_as_nothing_where_exporting_could_not_work_with_it() {
    for variable in [
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_METRIC_EXPORT_INTERVAL",
    ] {
        assert_eq!(said("a_program_that_flushes", &[(variable, "0")]), "1 of spans, 1 of metrics", "{variable}");
    }
}

/// Says how many of its settings it was told to be without a meaning.
#[tokio::test]
async fn a_program_that_is_told() {
    if !is_alone() {
        return;
    }
    let (log, _guard) = Log::of_thread();
    telemetry().install().unwrap().shutdown().await.unwrap();
    let told = log.names_of("eventsource::telemetry");
    println!("said: {}", told.iter().filter(|name| *name == "eventsource.telemetry.setting").count());
}

#[test]
fn a_switch_that_is_neither_on_nor_off_is_told_once() {
    let told = |value| said("a_program_that_is_told", &[("OTEL_SDK_DISABLED", value)]);
    assert_eq!(["1", "yes"].map(told), ["1", "1"]);
    assert_eq!(["TRUE", "false", ""].map(told), ["0", "0", "0"]);
}

/// Says how many log records were exported, without a subscriber: its layers would need the set-up.
#[tokio::test]
async fn a_program_without_a_subscriber() {
    if !is_alone() {
        return;
    }
    let logs = InMemoryLogExporter::default();
    let telemetry = telemetry().log_exporter(logs.clone()).install().unwrap();
    telemetry.force_flush().await.unwrap();
    println!("said: {}", logs.get_emitted_logs().unwrap().len());
    telemetry.shutdown().await.unwrap();
}

/// Nobody was told of a sampler that was misspelt: the set-up comes before the subscriber.
#[test]
fn what_is_ignored_before_anybody_listens_is_printed_and_exported() {
    let variables =
        [("OTEL_PROPAGATORS", "b3"), ("OTEL_TRACES_SAMPLER", "some\ntimes"), ("OTEL_BSP_SCHEDULE_DELAY", "x")];
    let line = |name: &str, value: &str, hint: &str| {
        format!(
            "[warn] eventsource::telemetry: setting ignored eventsource.setting.name={name} \
             eventsource.setting.value={value} eventsource.setting.hint=\"{hint}\""
        )
    };
    let lines = [
        line("OTEL_PROPAGATORS", "b3", "write `tracecontext`, `baggage` or `none`"),
        line("OTEL_TRACES_SAMPLER", "some\\u{a}times", "`parentbased_always_on` is used"),
    ];
    let program = "a_program_without_a_subscriber";
    assert_eq!(told(program, &variables), ("2".to_owned(), lines.to_vec()), "nobody reads the delay");
    let printing = [&variables[..], &[("OTEL_LOGS_EXPORTER", "console")]].concat();
    assert_eq!(told(program, &printing), ("2".to_owned(), lines.to_vec()), "once");
    let delay = line("OTEL_BSP_SCHEDULE_DELAY", "x", "write a whole number");
    let tracing = [variables[2], ("OTEL_TRACES_EXPORTER", "otlp")];
    assert_eq!(told(program, &tracing), ("1".to_owned(), vec![delay]));
    assert_eq!(told(program, &[]), ("0".to_owned(), vec![]));
    assert_eq!(told("a_program_that_is_told", &variables), ("2".to_owned(), vec![]), "somebody listens");
}

/// It was as if nothing were said, and nobody was told.
#[test]
fn what_is_no_number_is_told() {
    for (variable, exporter) in [
        ("OTEL_METRIC_EXPORT_INTERVAL", ("OTEL_METRICS_EXPORTER", "console")),
        ("OTEL_BSP_MAX_QUEUE_SIZE", ("OTEL_TRACES_EXPORTER", "otlp")),
    ] {
        let told = |value| said("a_program_that_is_told", &[exporter, (variable, value)]);
        assert_eq!(["10s", "-1", "1000", "0", ""].map(told), ["1", "1", "0", "0", "0"], "{variable}");
    }
}

/// Says whether it was told that a receiver rejects something, and how many of its spans are lost.
#[tokio::test]
async fn a_program_that_sends() {
    if !is_alone() {
        return;
    }
    let log = Log::of_process();
    let metrics = InMemoryMetricExporter::default();
    let telemetry = telemetry().metric_exporter(metrics.clone()).install().unwrap();
    for _ in 0..5 {
        fails().unwrap_err();
    }
    telemetry.force_flush().await.unwrap();
    log.hears_of("eventsource.telemetry.lost", "exception.message", "2 rejected: quota").await;
    let points = Measured::last(&metrics);
    let spans = points.iter().filter(|point| point.name == "otel.sdk.processor.span.processed");
    let counts: BTreeSet<_> = spans.map(|point| (point.attributes.len(), point.count)).collect();
    println!("said: {counts:?}");
    telemetry.shutdown().await.unwrap();
}

/// Answers each export with a message of protobuf: two of its items are rejected.
fn rejecting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(found) = line.to_lowercase().strip_prefix("content-length:") {
                    length = found.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let answer =
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\n\x0a\x09\x08\x02\x12\x05quota";
            reader.get_mut().write_all(answer).unwrap();
        }
    });
    endpoint
}

/// They counted as exported, and nobody was told.
#[test]
fn what_a_receiver_rejects_is_lost_and_told() {
    let endpoint = rejecting();
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*endpoint)];
    // Without an error's name, and with one: three are exported, and two are not.
    assert_eq!(said("a_program_that_sends", &variables), "{(0, 3), (1, 0), (1, 2)}");
}

/// The exporter's crate passes over them in silence.
#[test]
fn a_compression_or_a_temporality_that_is_none_is_told() {
    let told = |exporter, variables: &[(&str, &str)]| {
        said("a_program_that_is_told", &[&[(exporter, "otlp")], variables].concat())
    };
    let compression = |value| told("OTEL_TRACES_EXPORTER", &[("OTEL_EXPORTER_OTLP_COMPRESSION", value)]);
    assert_eq!(["zstd", "gz", "GZIP", "none", ""].map(compression), ["1", "1", "0", "0", "0"]);
    let own = [("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")];
    assert_eq!(told("OTEL_TRACES_EXPORTER", &own), "0", "nobody reads the second");
    let temporality = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "diff");
    assert_eq!(told("OTEL_METRICS_EXPORTER", &[temporality]), "1");
    assert_eq!(told("OTEL_METRICS_EXPORTER", &[(temporality.0, "Delta")]), "0");
    assert_eq!(told("OTEL_TRACES_EXPORTER", &[temporality]), "0", "it is of metrics alone");
}

#[test]
fn a_header_that_is_none_is_told() {
    let otlp = ("OTEL_TRACES_EXPORTER", "otlp");
    let told = |headers| said("a_program_that_is_told", &[otlp, ("OTEL_EXPORTER_OTLP_HEADERS", headers)]);
    assert_eq!(["authorization: Bearer x", "a=b,c", "a=b, c=d,", ""].map(told), ["1", "1", "0", "0"]);
}
