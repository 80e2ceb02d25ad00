//! Spans, metrics and log events in the destructors of thread-locals, where what they stand on may be gone: nothing may
//! panic there, or the process ends.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Waker};

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{Scope, Telemetry, span};
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::InMemorySpanExporter;

/// Set in the process whose threads end.
const CHILD: &str = "EVENTSOURCE_TESTS_TEARDOWN";

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
        println!("the last thing was done");
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The thread-local is there before, or after, those that OpenTelemetry has: one of both ends after them.
fn thread(before: bool) {
    let body = move || {
        if before {
            LAST.with_borrow(|last| assert!(last.is_none()));
        }
        span("first").in_scope(|| {
            let mut running: Pin<Box<dyn Future<Output = ()>>> = Box::pin(span("running").run(std::future::pending()));
            let polled = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            let last = Last { scope: Scope::current(), running: Some(running) };
            LAST.with_borrow_mut(|place| *place = Some(last));
        });
    };
    std::thread::spawn(body).join().unwrap();
}

#[test]
fn what_thread_locals_do_at_their_end_harms_nothing() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["teardown::threads_end", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shown.matches("the last thing was done").count(), 2, "{output:?}");
    assert!(shown.contains("the spans are whole"), "{output:?}");
}

/// Does its work only in the process that the test above starts.
#[test]
fn threads_end() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let spans = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("tests")
        .span_exporter(spans.clone())
        .metric_exporter(InMemoryMetricExporter::default())
        .log_exporter(InMemoryLogExporter::default())
        .install()
        .unwrap();
    for before in [true, false] {
        thread(before);
    }
    telemetry.tracer_provider().force_flush().unwrap();
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
