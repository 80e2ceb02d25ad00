//! Spans, metrics and log events in the destructors of thread-locals, where what they stand on may be gone: nothing may
//! panic there, or the process ends.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::process::Output;
use std::sync::LazyLock;
use std::task::{Context, Waker};

use eventsource_runtime::bus::{InProcessBus, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{Scope, Telemetry, span};
use eventsource_tests::alone::{alone, is_alone};
use eventsource_tests::recorder::PATIENCE;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::InMemorySpanExporter;

#[traced]
fn traced_function() -> u32 {
    3
}

#[traced(attributes("text" = text))]
fn fails(text: &str) -> Result<(), fmt::Error> {
    if text.is_empty() { Ok(()) } else { Err(fmt::Error) }
}

/// Does on its end what an application may do there: everything.
struct Last {
    scope: Scope,
    running: Option<Pin<Box<dyn Future<Output = ()>>>>,
    bus: Option<Box<dyn Any>>,
}

/// Where the bus runs: it outlives the threads that end.
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// A bus and somebody who listens.
fn listening() -> Box<dyn Any> {
    let bus = InProcessBus::new();
    let running = RUNTIME.block_on(bus.subscribe("inventory").handle(async |_: Received| Ok(()))).unwrap();
    Box::new((running, bus))
}

impl Drop for Last {
    fn drop(&mut self) {
        assert_eq!(self.scope.in_scope(traced_function), 3);
        span("last").attribute("last.thing", true).in_scope(|| {
            assert_eq!(traced_function(), 3);
            current_span().record("last.word", "bye");
        });
        // It logs its failure, and counts an attribute that is cut.
        fails(&"x".repeat(2000)).unwrap_err();
        // A span and a future that began while all was there.
        drop(self.running.take());
        drop(self.bus.take());
        println!("the last thing was done");
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The thread-local is there before, or after, those that OpenTelemetry has: one of both ends after them.
fn thread(before: bool) {
    std::thread::spawn(move || leave_to_the_end(before)).join().unwrap();
}

fn leave_to_the_end(before: bool) {
    if before {
        LAST.with_borrow(|last| assert!(last.is_none()));
    }
    span("first").in_scope(|| {
        let mut running: Pin<Box<dyn Future<Output = ()>>> = Box::pin(span("running").run(std::future::pending()));
        let polled = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let last = Last { scope: Scope::current(), running: Some(running), bus: Some(listening()) };
        LAST.with_borrow_mut(|place| *place = Some(last));
    });
}

/// What one of the tests below comes to in a process of its own, on its main thread.
fn ended(test: &str) -> Output {
    alone(test).arg("--test-threads=1").output().unwrap()
}

#[test]
fn what_thread_locals_do_at_their_end_harms_nothing() {
    let output = ended("teardown::threads_end");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shown.matches("the last thing was done").count(), 2, "{output:?}");
    assert!(shown.contains("the spans are whole"), "{output:?}");
}

/// Does its work only in the process that the test above starts.
#[test]
fn threads_end() {
    if !is_alone() {
        return;
    }
    let spans = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("tests")
        .span_exporter(spans.clone())
        .metric_exporter(InMemoryMetricExporter::default())
        .log_exporter(InMemoryLogExporter::default())
        .shutdown_timeout(PATIENCE)
        .install()
        .unwrap();
    for before in [true, false] {
        thread(before);
    }
    telemetry.force_flush_blocking().unwrap();
    let spans = spans.get_finished_spans().unwrap();
    let first: Vec<_> =
        spans.iter().filter(|span| span.name == "first").map(|span| span.span_context.span_id()).collect();
    assert_eq!(first.len(), 2);
    let running = spans.iter().filter(|span| span.name == "running");
    assert!(running.clone().all(|span| first.contains(&span.parent_span_id)) && running.count() == 2);
    // Where there are any in a destructor, they hang where they belong.
    for span in spans.iter().filter(|span| span.name == "last") {
        assert!(!first.contains(&span.parent_span_id), "the span had ended");
    }
    telemetry.shutdown_blocking().unwrap();
    println!("the spans are whole");
}

/// How often a process ends: what it does at its end depends on how fast its threads are.
const ENDS: usize = 10;

#[test]
fn a_process_ends_whole_while_its_threads_go_on() {
    for _ in 0..ENDS {
        let output = ended("teardown::process_ends");
        assert!(output.status.success(), "{output:?}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("all threads go on"), "{output:?}");
        assert_eq!(shown.matches("the last thing was done").count(), 1, "{output:?}");
    }
}

/// Ends the process without shutting anything down: the destructors of the main thread run as the process exits, before
/// what was left to `atexit`, which only unsafe code can add to.
#[test]
fn process_ends() {
    if !is_alone() {
        return;
    }
    let spans = InMemorySpanExporter::default();
    let builder = Telemetry::builder("tests").span_exporter(spans).metric_exporter(InMemoryMetricExporter::default());
    std::mem::forget(builder.log_exporter(InMemoryLogExporter::default()).install().unwrap());
    leave_to_the_end(true);
    let (tell, told) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let tell = tell.clone();
        std::thread::spawn(move || {
            for round in 0.. {
                assert_eq!(traced_function(), 3);
                span("detached").attribute("round", round).in_scope(|| current_span().record("more", true));
                fails("detached").unwrap_err();
                let _ = tell.send(());
            }
        });
    }
    for _ in 0..100 {
        told.recv().unwrap();
    }
    println!("all threads go on");
}
