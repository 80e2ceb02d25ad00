//! Code of the application's that telemetry calls, and that comes back to it: nothing waits for itself.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{Scope, TelemetryBuilder, span};
use eventsource_tests::logged::listen;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::{Event, Id, Subscriber, span as tracing_span};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};
use uuid::Uuid;

use crate::{bus, place};

const ROUNDS: usize = 10_000;
/// What waits for itself waits for ever; all of it takes seconds, on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs it on a thread of its own, which is left alone if it never ends.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let running = std::thread::spawn(move || {
        body();
        let _ = tell.send(());
    });
    match told.recv_timeout(PATIENCE) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("something waits for itself"),
        Err(RecvTimeoutError::Disconnected) => running.join().unwrap(),
    }
}

fn wait(of: impl Future) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(of);
}

/// What code does that nobody expected to do anything.
fn interfere() {
    tracing::error!("from within");
    current_span().record("from.within", 1);
    span("within").attribute("shown", 1).in_scope(|| Scope::current().in_scope(TraceContext::current));
}

thread_local! {
    static INTERFERING: Cell<bool> = const { Cell::new(false) };
}

/// Comes back from wherever it is called, but not from where it has come back itself: no layer could.
struct Interfering;

impl Interfering {
    fn once() {
        if !INTERFERING.replace(true) {
            interfere();
            INTERFERING.set(false);
        }
    }
}

impl<S: Subscriber> Layer<S> for Interfering {
    fn on_new_span(&self, _: &tracing_span::Attributes<'_>, _: &Id, _: LayerContext<'_, S>) {
        Self::once();
    }

    fn on_record(&self, _: &Id, _: &tracing_span::Record<'_>, _: LayerContext<'_, S>) {
        Self::once();
    }

    fn on_event(&self, _: &Event<'_>, _: LayerContext<'_, S>) {
        Self::once();
    }

    fn on_enter(&self, _: &Id, _: LayerContext<'_, S>) {
        Self::once();
    }

    fn on_exit(&self, _: &Id, _: LayerContext<'_, S>) {
        Self::once();
    }

    fn on_close(&self, _: Id, _: LayerContext<'_, S>) {
        Self::once();
    }
}

struct Shown;

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        interfere();
        f.write_str("shown")
    }
}

#[traced(attributes("shown" = %Shown), record("after" = %Shown))]
async fn shows() -> Result<(), fmt::Error> {
    tokio::task::yield_now().await;
    Err(fmt::Error)
}

/// Spans, log events, and values that are shown, below a subscriber that interferes.
fn interfered(recorder: &Recorder, rounds: usize) {
    let ours = tracing_subscriber::registry().with(recorder.telemetry().tracing_layer());
    let subscriber = ours.with(recorder.telemetry().log_layer()).with(Interfering);
    let _default = listen(subscriber);
    let (commands, order) = (bus(&MemoryStore::new()), Uuid::now_v7());
    wait(recorder.run(async {
        commands.dispatch(place(order)).await.unwrap();
        for _ in 0..rounds {
            shows().await.unwrap_err();
        }
        for _ in 0..rounds / 100 {
            commands.dispatch(place(order)).await.unwrap_err();
        }
    }));
}

#[test]
fn a_subscriber_that_comes_back_stops_nothing() {
    watched(|| {
        let recorder = Recorder::with(|builder| builder.log_exporter(InMemoryLogExporter::default()));
        interfered(&recorder, ROUNDS);
        assert_eq!(recorder.open_spans(), 0);
    });
}

#[test]
fn a_subscriber_that_comes_back_stops_nothing_where_spans_are_its_own_too() {
    watched(|| {
        let recorder = Recorder::with(TelemetryBuilder::bridge_to_tracing);
        interfered(&recorder, ROUNDS / 10);
        assert_eq!(recorder.open_spans(), 0);
    });
}

/// The last of something, which somebody drops in an export.
type Kept = Arc<Mutex<Vec<Pin<Box<dyn Future<Output = ()> + Send>>>>>;

/// Drops, in each export, the last of a span.
#[derive(Clone, Default)]
struct Dropping(Kept);

impl fmt::Debug for Dropping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dropping")
    }
}

impl SpanExporter for Dropping {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let last = self.0.lock().unwrap().pop();
        interfere();
        drop(last);
        Ok(())
    }
}

/// A span that is only ended by being dropped.
fn unfinished() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut running: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(span("kept").run(std::future::pending()));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    running
}

fn dropped_in_exports(set: impl FnOnce(TelemetryBuilder, Dropping) -> TelemetryBuilder) {
    let dropping = Dropping::default();
    let recorder = Recorder::with(|builder| set(builder, dropping.clone()));
    wait(recorder.run(async {
        for round in 0..ROUNDS {
            let last = unfinished();
            dropping.0.lock().unwrap().push(last);
            span("plain").in_scope(|| ());
            if round % 1000 == 0 {
                recorder.flush().await;
            }
        }
        recorder.flush().await;
    }));
    let left = std::mem::take(&mut *dropping.0.lock().unwrap());
    drop(left);
    assert_eq!((recorder.open_spans(), recorder.started_spans() >= 2 * ROUNDS), (0, true));
}

#[test]
fn the_last_of_a_span_may_be_dropped_in_the_export_of_a_batch() {
    watched(|| dropped_in_exports(TelemetryBuilder::span_exporter));
}

#[test]
fn the_last_of_a_span_may_be_dropped_in_the_export_of_another() {
    watched(|| dropped_in_exports(TelemetryBuilder::simple_exporter));
}
