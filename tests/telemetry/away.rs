//! A receiver that is away for as long as it likes: memory stays where it is, the program does and stores the same,
//! what is lost is counted, and the log says so once a minute.

use std::convert::Infallible;
use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore};
use eventsource_runtime::telemetry::{AttributeValue, Slot, names};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::exporters::{Deed, Hostile};
use eventsource_tests::recorder::Balance;
use eventsource_tests::registry::Measured;
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use serde::Deserialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};
use uuid::Uuid;

use crate::hostile::{Outcome, outcome_here};
use crate::{ALLOCATOR, bus, place};

/// How many spans are lost: as many as full queues hold in ten minutes of exports every five seconds.
const LOST: usize = 120 * 2048;
/// How much more may be held at the end than when everything was full for the first time: queues are fuller at one
/// moment than at another. A quarter of what was lost meanwhile, kept, would be more.
const GROWTH: usize = 2 * 1024 * 1024;
/// How many spans or log records a queue holds by default.
const QUEUE: u64 = 2048;

/// What the exporters of the process below do.
const DEED: &str = "EVENTSOURCE_TESTS_DEED";

#[test]
fn ten_minutes_without_a_receiver_cost_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The end of a connection, where nobody else can listen.
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let gone = held.local_addr().unwrap();
    for deed in ["refuse", "panic", "hang"] {
        let mut child = alone("away::works_on");
        child
            .env(DEED, deed)
            // What takes five seconds, a second and a minute takes milliseconds here.
            .env("OTEL_BSP_SCHEDULE_DELAY", "20")
            .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100");
        if deed == "refuse" {
            child.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{gone}"));
            child.env("OTEL_EXPORTER_OTLP_TIMEOUT", "200");
        }
        print!("{deed}: {}", String::from_utf8_lossy(&passed(&mut child, 1).stdout));
    }
}

/// Does its work only in the process that the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_on() {
    if !is_alone() {
        return;
    }
    let (deed, exporters) = match &*std::env::var(DEED).unwrap() {
        "panic" => (Deed::Panic, 1),
        "hang" => (Deed::Hang, 1),
        // And that of the environment, who finds nobody.
        _ => (Deed::Refuse, 2),
    };
    let expected = outcome_here().await;
    let (lines, lost, ended) = (Lines::default(), Lost::default(), Balance::default());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines.clone())).unwrap();
    let telemetry = Telemetry::from_env("tests")
        .span_exporter(Hostile::new(deed))
        .log_exporter(Hostile::new(deed))
        .span_processor(ended.clone())
        .metric_exporter(lost.clone())
        .shutdown_timeout(Duration::from_secs(1))
        .install()
        .unwrap();

    let started = Instant::now();
    lose(&ended, &expected).await;
    // What hangs is not lost yet.
    let waiting = if deed == Deed::Hang { QUEUE } else { 0 };
    let made = || [exporters * ended.ended() as u64, exporters * lines.exported()];
    let is_counted = |(made, fate): (u64, [u64; 3])| made <= fate.iter().sum::<u64>() + waiting;
    while !made().into_iter().zip(lost.fates()).all(is_counted) {
        assert!(started.elapsed() < Duration::from_mins(2), "{:?} of {:?}", lost.fates(), made());
        // It fails, unless nothing waits any more.
        let _ = telemetry.force_flush().await;
    }
    let told = lines.of(LOSS);
    for (made, fate) in made().into_iter().zip(lost.fates()) {
        let [exported, queue_full, export_failed] = fate;
        // A line about losses may become a log record, too.
        let counted = fate.iter().sum::<u64>();
        assert!((made - waiting..=made + exporters * told).contains(&counted), "{fate:?} of {made}");
        assert!(exported == 0 && (queue_full > export_failed) == (deed == Deed::Hang), "{fate:?}");
    }
    let minutes = started.elapsed().as_secs() / 60;
    assert!((1..=1 + minutes).contains(&told), "one a minute of all signals: {told}");
    let lost: u64 = lost.fates().iter().flat_map(|fate| &fate[1..]).sum();
    let _ = telemetry.shutdown().await;
    assert!(lines.lost() >= lost, "all of {lost} by the end: {}", lines.lost());
    assert!(lines.of(LOSS) <= told + 2, "the rest, and perhaps the minute is over");
    assert_eq!(lines.of(FOREIGN), 0, "libraries are silent about it");
}

/// Hears one line about losses, and no more.
#[derive(Clone, Default)]
struct Deaf(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Deaf {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if event.metadata().name() == LOSS && self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            loop {
                std::thread::park();
            }
        }
    }
}

/// The log is others' code, which the end of a program is not left to.
#[test]
fn a_subscriber_that_hangs_holds_up_no_shutdown() {
    passed(&mut alone("away::ends_beside_a_subscriber_that_hangs"), 1);
}

/// Does its work only in the process that the test above starts.
#[tokio::test]
async fn ends_beside_a_subscriber_that_hangs() {
    if !is_alone() {
        return;
    }
    let timeout = Duration::from_secs(20);
    let deaf = Deaf::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(deaf.clone())).unwrap();
    let builder = Telemetry::builder("tests").span_exporter(Hostile::new(Deed::Refuse));
    let telemetry = builder.shutdown_timeout(timeout).install().unwrap();
    let queries = QueryBus::builder().handler(Answers).build();
    for _ in 0..2 {
        queries.execute(IsSampled { counted: Counted::default() }).await.unwrap();
        telemetry.force_flush().await.unwrap_err();
    }
    assert_eq!(deaf.0.load(Ordering::SeqCst), 1, "the second loss waits for a minute");
    let started = Instant::now();
    let _ = telemetry.shutdown().await;
    assert_eq!(deaf.0.load(Ordering::SeqCst), 2, "or for the end");
    assert!(started.elapsed() < timeout, "{:?}", started.elapsed());
}

/// Loses as many spans as full queues do in ten minutes. That takes no more memory at their end than at their
/// beginning, and changes nothing that is answered or stored meanwhile.
async fn lose(ended: &Balance, expected: &Outcome) {
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let bus = Arc::new(bus(&store));
    bus.dispatch(place(order)).await.unwrap();

    // Whatever is made once is made.
    until(ended, LOST / 4, &bus, order).await;
    let before = held();
    until(ended, LOST * 5 / 4, &bus, order).await;
    let after = held();
    println!("held before {before} bytes, after {after}; {} spans", ended.ended());
    assert!(after < before + GROWTH, "{before} bytes became {after}");
    let more = ended.ended() + LOST / 8;
    let (outcome, ()) = tokio::join!(outcome_here(), until(ended, more, &bus, order));
    assert_eq!(&outcome, expected, "the answers, and what is stored, under load as without telemetry");
}

/// An attribute that counts how often it is asked for.
#[derive(Clone, Default, Deserialize)]
struct Counted {
    #[serde(skip)]
    asked: Arc<AtomicU64>,
}

impl AttributeValue for Counted {
    fn record(&self, _: &mut Slot<'_>) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Query, Clone, Deserialize)]
#[query(output = bool)]
struct IsSampled {
    #[query(attribute = "counted")]
    counted: Counted,
}

struct Answers;

#[query_handler]
impl Answers {
    fn is_sampled(&self, _: IsSampled) -> Result<bool, Infallible> {
        Ok(TraceContext::current().is_some_and(|context| context.is_sampled()))
    }
}

/// Nobody makes what nobody would get. What runs in it is in a sampled trace as always.
#[tokio::test]
async fn what_would_be_lost_is_counted_and_not_made() {
    let (exporter, lost) = (Hostile::new(Deed::Refuse), Lost::default());
    let builder = Telemetry::builder("tests").span_exporter(exporter.clone());
    let telemetry = builder.metric_exporter(lost.clone()).build().unwrap();
    let queries = QueryBus::builder().handler(Answers).build();
    let (mut executed, counted) = (0, Counted::default());
    // By then the receiver has been left alone for a second and a half.
    while exporter.calls()[0] < 7 {
        for _ in 0..10 {
            let query = IsSampled { counted: counted.clone() };
            assert!(telemetry.run(queries.execute(query)).await.unwrap(), "its context is as that of any other");
            executed += 1;
        }
        let _ = telemetry.force_flush().await;
    }
    assert_eq!(lost.of(names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED, "export_failed"), executed);
    let asked = counted.asked.load(Ordering::SeqCst);
    assert!(asked > 0 && asked < executed / 2, "{asked} of {executed} spans were filled in");
    let _ = telemetry.shutdown().await;
}

/// A program that exports metrics alone made its spans in full, and threw them away.
#[tokio::test]
async fn what_nobody_gets_is_not_made() {
    let telemetry = Telemetry::builder("tests").metric_exporter(Lost::default()).build().unwrap();
    let asked = Arc::<AtomicU64>::default();
    let queries = QueryBus::builder().handler(Answers).build();
    let query = IsSampled { counted: Counted { asked: Arc::clone(&asked) } };
    assert!(telemetry.run(queries.execute(query.clone())).await.unwrap(), "what it calls may be exported elsewhere");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    telemetry.shutdown().await.unwrap();

    let telemetry = Telemetry::builder("tests").simple_exporter(InMemorySpanExporter::default()).build().unwrap();
    assert!(telemetry.run(queries.execute(query)).await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// The context that is stored with the event of a command, where nobody gets spans and this is the current one.
async fn stored_below(current: Option<SpanContext>) -> TraceContext {
    let telemetry = Telemetry::builder("tests").metric_exporter(Lost::default()).build().unwrap();
    let store = MemoryStore::new();
    let placed = async {
        let around = Context::current();
        let around = current.map_or_else(|| around.clone(), |current| around.with_remote_span_context(current));
        bus(&store).dispatch(place(Uuid::now_v7())).with_context(around).await.unwrap();
    };
    telemetry.run(placed).await;
    let page = store.read_all(Position::START, &Filter::all(), 1).await.unwrap();
    page.events[0].trace_context.clone().expect("a context")
}

/// One span stands for all that are below it; others' spans do not.
#[tokio::test]
async fn what_is_stored_where_nobody_gets_spans_is_of_a_sampled_trace_all_the_same() {
    assert!(stored_below(None).await.is_sampled());
    let (trace, span) = (TraceId::from(7), SpanId::from(8));
    for (flags, is_remote) in [(TraceFlags::SAMPLED, true), (TraceFlags::default(), true), (TraceFlags::SAMPLED, false)]
    {
        let stored = stored_below(Some(SpanContext::new(trace, span, flags, is_remote, TraceState::NONE))).await;
        assert_eq!(stored.trace_id(), 7);
        assert_eq!(stored.is_sampled(), flags.is_sampled(), "below what was sampled out nothing is sampled");
        assert_eq!(stored.span_id() == 8, !is_remote || !flags.is_sampled(), "it is a span of this process or none");
    }
}

/// Commands that are refused, until so many spans have ended: they leave spans, metrics and log events, and nothing in
/// the store.
async fn until(spans: &Balance, count: usize, bus: &Arc<CommandBus>, order: Uuid) {
    while spans.ended() < count {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let bus = Arc::clone(bus);
                tokio::spawn(async move {
                    for _ in 0..50 {
                        bus.dispatch(place(order)).await.unwrap_err();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

/// How many bytes the process has asked for and not given back.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What was measured last.
#[derive(Clone, Debug, Default)]
struct Lost(Arc<Mutex<Vec<Measured>>>);

impl Lost {
    /// How many spans or log records a metric counts as lost for that reason; as not lost, if that is empty.
    fn of(&self, metric: &str, reason: &str) -> u64 {
        let last = self.0.lock().unwrap();
        let mut counts = last.iter().filter(|point| point.name == metric && point.said(names::ERROR_TYPE) == reason);
        counts.next().map_or(0, |point| point.count)
    }
}

impl Lost {
    /// How many spans, and log records, were exported, found a full queue, and were lost in an export.
    fn fates(&self) -> [[u64; 3]; 2] {
        [names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED, names::OTEL_SDK_PROCESSOR_LOG_PROCESSED]
            .map(|metric| ["", "queue_full", "export_failed"].map(|reason| self.of(metric, reason)))
    }
}

impl PushMetricExporter for Lost {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        *self.0.lock().unwrap() = all.flat_map(Measured::of).collect();
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

const LOSS: &str = "eventsource.telemetry.lost";
/// How warnings of libraries are counted.
const FOREIGN: &str = "foreign";

/// How often each event of ours was logged, and any warning of others; and how much was told to be lost.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<std::collections::HashMap<&'static str, u64>>>, Arc<AtomicU64>);

impl Lines {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    /// How much is lost by the last line.
    fn lost(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    /// How many surely become log records: what is told of losses may find no room itself.
    fn exported(&self) -> u64 {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(name, _)| ![FOREIGN, LOSS].contains(*name)).map(|(_, count)| count).sum()
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let metadata = event.metadata();
        let (is_ours, level) = (metadata.target().starts_with("eventsource"), *metadata.level());
        if is_ours && level <= Level::INFO || level <= Level::WARN {
            let name = if is_ours { metadata.name() } else { FOREIGN };
            *self.0.lock().unwrap().entry(name).or_default() += 1;
        }
        event.record(&mut Told(&self.1));
    }
}

/// Looks at each field, as a subscriber would.
struct Told<'a>(&'a AtomicU64);

impl Visit for Told<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == names::EVENTSOURCE_DROPPED {
            self.0.store(value, Ordering::SeqCst);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
