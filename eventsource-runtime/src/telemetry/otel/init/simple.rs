//! Spans that are exported as they end, on the thread that they end on.
//!
//! OpenTelemetry's processor for that waits for itself if an export ends a span, and panics under another executor of
//! its kind.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::sync::Mutex;

pub(super) struct SimpleProcessor<E> {
    /// Locked for one export at a time, as exporters may expect.
    exporter: Mutex<E>,
    is_shut_down: AtomicBool,
}

impl<E> SimpleProcessor<E> {
    pub(super) fn new(exporter: E) -> Self {
        Self { exporter: Mutex::new(exporter), is_shut_down: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanProcessor for SimpleProcessor<E> {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    /// A span that ends in an export, because the exporter drops the last of it, is not exported.
    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() || self.is_shut_down.load(Ordering::Relaxed) {
            return;
        }
        let Some(_exporting) = Exporting::begin() else { return };
        let _unseen = Context::enter_telemetry_suppressed_scope();
        // Whoever wants to know of failures uses a batch exporter.
        let _ = wait(self.exporter.lock().export(vec![span]));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.is_shut_down.store(true, Ordering::Relaxed);
        self.exporter.lock().shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.lock().set_resource(resource);
    }
}

impl<E: fmt::Debug> fmt::Debug for SimpleProcessor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleProcessor").field("exporter", &self.exporter).finish_non_exhaustive()
    }
}

thread_local! {
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as exporting, until dropped.
struct Exporting(());

impl Exporting {
    fn begin() -> Option<Self> {
        (!EXPORTING.replace(true)).then(|| Self(()))
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        EXPORTING.set(false);
    }
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Parked(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
