//! A set-up that another takes the place of, and that nobody holds.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use eventsource_runtime::telemetry::{Telemetry, span};
use opentelemetry::trace::Tracer as _;
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Span, SpanData, SpanProcessor};

use crate::{TURN, names};

/// Shuts down once it is let.
#[derive(Clone, Debug, Default)]
struct Held(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    is_let: bool,
    has_ended: bool,
}

impl Held {
    fn wait_while(&self, condition: impl Fn(&State) -> bool, change: impl FnOnce(&mut State)) {
        let (state, changed) = &*self.0;
        change(&mut changed.wait_while(state.lock().unwrap(), |state| condition(state)).unwrap());
        changed.notify_all();
    }
}

impl SpanProcessor for Held {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.wait_while(|state| !state.is_let, |state| state.has_ended = true);
        Ok(())
    }
}

/// It was shut down while OpenTelemetry's globals were locked: nobody in the process got a tracer meanwhile.
#[test]
fn it_is_shut_down_apart() {
    let _turn = TURN.blocking_lock();
    let held = Held::default();
    drop(Telemetry::builder("first").span_processor(held.clone()).install().unwrap());
    let (tell, told) = mpsc::channel();
    let exporter = InMemorySpanExporter::default();
    let theirs = exporter.clone();
    thread::spawn(move || tell.send(Telemetry::builder("second").simple_exporter(theirs).install().unwrap()));
    let second = told.recv_timeout(Duration::from_mins(1)).expect("it waits for the first");
    span("ours").in_scope(|| global::tracer("theirs").in_span("theirs", |_| ()));
    assert_eq!(names(&exporter), ["theirs", "ours"]);
    held.wait_while(|_| false, |state| state.is_let = true);
    held.wait_while(|state| !state.has_ended, |_| ());
    second.shutdown_blocking().unwrap();
}
