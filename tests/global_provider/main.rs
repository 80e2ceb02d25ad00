//! OpenTelemetry's globals: a process has them once, so these tests take turns, in a process of their own.

mod metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{Telemetry, TraceContext, span};
use eventsource_runtime::traced;
use eventsource_tests::orders::Order;
use eventsource_tests::placing::place;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::noop::{NoopTracer, NoopTracerProvider};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter};
use tokio::sync::Mutex;
use uuid::Uuid;

static TURN: Mutex<()> = Mutex::const_new(());

fn names(exporter: &InMemorySpanExporter) -> Vec<String> {
    let names = exporter.get_finished_spans().unwrap().into_iter().map(|span| span.name.into_owned()).collect();
    exporter.reset();
    names
}

/// Makes spans while it exports, as a client of HTTP that is traced would.
#[derive(Debug, Clone, Default)]
struct Talkative {
    exported: Arc<AtomicUsize>,
}

impl SpanExporter for Talkative {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.exported.fetch_add(batch.len(), Ordering::SeqCst);
        span("POST").in_scope(|| global::tracer("http").in_span("connect", |_| ()));
        span("POST").options(eventsource_runtime::telemetry::Options::root).in_scope(|| ());
        Ok(())
    }
}

struct Headers;

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// How often the attribute of a traced function was asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);

#[traced(attributes("asked" = ASKED.fetch_add(1, Ordering::SeqCst) as u64))]
fn asks() {}

#[test]
fn attributes_are_asked_for_where_there_is_a_provider() {
    let _turn = TURN.blocking_lock();
    let asked = || {
        asks();
        ASKED.swap(0, Ordering::SeqCst)
    };
    global::set_tracer_provider(NoopTracerProvider::new());
    assert_eq!(asked(), 0, "nobody has set one that makes anything");
    let theirs = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(theirs.clone()).build();
    global::set_tracer_provider(provider.clone());
    assert_eq!((asked(), names(&theirs)), (1, vec!["asks".to_owned()]));
    let ours = Telemetry::builder("ours").simple_exporter(InMemorySpanExporter::default()).install().unwrap();
    assert_eq!(asked(), 1);
    ours.shutdown_blocking().unwrap();
    assert_eq!(asked(), 0, "ours has ended, and took the place of theirs");
}

/// Somebody else's provider, which makes no spans, and counts for how many it was asked.
#[derive(Clone, Default)]
struct Idle(Arc<AtomicUsize>);

impl TracerProvider for Idle {
    type Tracer = NoopTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> NoopTracer {
        self.0.fetch_add(1, Ordering::SeqCst);
        NoopTracerProvider::new().tracer_with_scope(scope)
    }
}

#[tokio::test]
async fn a_command_asks_a_provider_that_makes_no_spans_once() {
    let _turn = TURN.lock().await;
    let idle = Idle::default();
    global::set_tracer_provider(idle.clone());
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(MemoryStore::new())).build();
    commands.dispatch(place(Uuid::now_v7())).await.unwrap();
    assert_eq!(idle.0.load(Ordering::SeqCst), 1);
    global::set_tracer_provider(NoopTracerProvider::new());
}

/// As by a `?` in `main`.
#[test]
fn what_has_ended_is_exported_when_a_set_up_is_dropped_that_is_installed() {
    let _turn = TURN.blocking_lock();
    let exporter = InMemorySpanExporter::default();
    let installed = Telemetry::builder("ours").span_exporter(exporter.clone()).install().unwrap();
    span("last").in_scope(|| ());
    drop(installed);
    assert_eq!(names(&exporter), ["last"]);
    global::set_tracer_provider(NoopTracerProvider::new());
}

#[test]
fn the_process_has_one_set_up_at_a_time() {
    let _turn = TURN.blocking_lock();
    span("before").in_scope(|| assert_eq!(TraceContext::current(), None));

    let first = InMemorySpanExporter::default();
    let installed = Telemetry::builder("first").simple_exporter(first.clone()).install().unwrap();
    span("ours").in_scope(|| global::tracer("theirs").in_span("theirs", |_| span("ours again").in_scope(|| ())));
    let spans = first.get_finished_spans().unwrap();
    assert_eq!(spans[0].parent_span_id, spans[1].span_context.span_id());
    assert_eq!(spans[1].parent_span_id, spans[2].span_context.span_id());
    assert_eq!(names(&first), ["ours again", "theirs", "ours"]);
    let extracted =
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Headers));
    assert!(extracted.span().span_context().is_valid(), "headers are understood");

    // Somebody else's provider, set behind our back.
    let second = InMemorySpanExporter::default();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(second.clone()).build());
    span("replaced").in_scope(|| ());
    assert_eq!((names(&first), names(&second)), (vec![], vec!["replaced".to_owned()]));

    // Ours ends, and leaves theirs alone.
    installed.shutdown_blocking().unwrap();
    span("still theirs").in_scope(|| ());
    assert_eq!(names(&second), ["still theirs"]);

    // Installed again: it takes over, and what it ends it gives back.
    let third = InMemorySpanExporter::default();
    let installed = Telemetry::builder("third")
        .simple_exporter(third.clone())
        .metric_exporter(InMemoryMetricExporter::default())
        .install()
        .unwrap();
    let ours = global::meter_provider();
    span("third").in_scope(|| ());
    assert_eq!((names(&second), names(&third)), (vec![], vec!["third".to_owned()]));
    assert!(understands_headers());
    installed.shutdown_blocking().unwrap();
    span("after").in_scope(|| assert_eq!(TraceContext::current(), None));
    // Both stayed behind, shut down.
    assert!(!understands_headers(), "the propagator is given back");
    assert!(!Arc::ptr_eq(&ours, &global::meter_provider()), "the meters are given back");
    theirs_stay();

    // Dropped, it stays installed.
    let fourth = InMemorySpanExporter::default();
    drop(Telemetry::builder("fourth").simple_exporter(fourth.clone()).install().unwrap());
    span("goes on").in_scope(|| ());
    assert_eq!(names(&fourth), ["goes on"]);

    exporters_are_not_traced();
}

/// Such as one for metrics alone: it took the process's spans from whoever read them, and gave them to nobody.
#[test]
fn a_set_up_without_anybody_to_give_spans_to_leaves_a_provider_of_others() {
    let _turn = TURN.blocking_lock();
    let theirs = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(theirs.clone()).build();
    global::set_tracer_provider(provider);
    let metrics = || Telemetry::builder("metrics").metric_exporter(InMemoryMetricExporter::default());
    for _ in 0..2 {
        let installed = metrics().install().unwrap();
        span("ours").in_scope(|| global::tracer("theirs").in_span("theirs", |_| ()));
        assert_eq!(names(&theirs), ["theirs", "ours"]);
        installed.shutdown_blocking().unwrap();
        span("after").in_scope(|| ());
        assert_eq!(names(&theirs), ["after"], "it is left alone at the end as well");
    }
    // What is ours is replaced, whether anybody gets its spans or not.
    let exporter = InMemorySpanExporter::default();
    let first = Telemetry::builder("first").simple_exporter(exporter.clone()).install().unwrap();
    let second = metrics().install().unwrap();
    global::tracer("theirs").in_span("nobody's", |_| ());
    assert_eq!((names(&exporter), names(&theirs)), (vec![], vec![]));
    first.shutdown_blocking().unwrap();
    second.shutdown_blocking().unwrap();
}

fn understands_headers() -> bool {
    let extracted =
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Headers));
    extracted.span().span_context().is_valid()
}

/// Counts how often it was asked for a meter: what tells one global provider from another.
#[derive(Debug, Default)]
struct Theirs(Arc<AtomicUsize>);

impl MeterProvider for Theirs {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        self.0.fetch_add(1, Ordering::SeqCst);
        SdkMeterProvider::default().meter_with_scope(scope)
    }
}

/// What somebody else has set meanwhile is left alone.
fn theirs_stay() {
    let metrics = InMemoryMetricExporter::default();
    let installed = Telemetry::builder("sixth").metric_exporter(metrics).install().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    global::set_meter_provider(Theirs(Arc::clone(&asked)));
    global::set_text_map_propagator(TraceContextPropagator::new());
    installed.shutdown_blocking().unwrap();
    let _ = global::meter("anybody");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(understands_headers());
}

fn exporters_are_not_traced() {
    let talkative = Talkative::default();
    let telemetry = Telemetry::builder("talkative")
        .span_exporter(talkative.clone())
        .shutdown_timeout(Duration::from_secs(10))
        .install()
        .unwrap();
    span("the only one").in_scope(|| ());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..3 {
        runtime.block_on(telemetry.force_flush()).unwrap();
    }
    runtime.block_on(telemetry.shutdown()).unwrap();
    assert_eq!(talkative.exported.load(Ordering::SeqCst), 1);
}
