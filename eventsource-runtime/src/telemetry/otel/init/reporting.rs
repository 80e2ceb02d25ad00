//! Exporters that tell operators when they fail and when they work again, and count what becomes of spans and log
//! records: OpenTelemetry itself is silent about it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::batch::Admission;
use super::env::Signal;
use super::losses::Losses;
use super::otlp::{LastResponse, Worker};

/// An exporter that tells what it loses, and why.
pub(super) struct Reporting<E> {
    pub(super) exporter: E,
    signal: Signal,
    losses: Arc<Losses>,
    /// Whether the last export failed.
    failing: AtomicBool,
    /// Admits no more than fits; metrics do not wait.
    admission: Option<Arc<Admission>>,
    /// With whose sockets and timers it works, if it needs any.
    pub(super) worker: Option<Worker>,
    /// What its receiver says, if it is asked over HTTP.
    pub(super) last_response: Option<Arc<LastResponse>>,
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, signal: Signal, losses: &Arc<Losses>) -> Self {
        let (losses, failing) = (Arc::clone(losses), AtomicBool::new(false));
        Self { exporter, signal, losses, failing, admission: None, worker: None, last_response: None }
    }

    /// The same, behind an admission that is told what has left.
    pub(super) fn behind(self, admission: &Arc<Admission>) -> Self {
        Self { admission: Some(Arc::clone(admission)), ..self }
    }

    /// Exports so many items that were admitted, counts what became of them, and tells what is lost.
    pub(super) async fn leaving<F>(&self, count: usize, export: impl FnOnce() -> F) -> OTelSdkResult
    where
        F: Future<Output = OTelSdkResult>,
    {
        let result = self.asking(export).await;
        // What its receiver did not take of an export that went well otherwise.
        let last = self.last_response.as_ref().filter(|_| result.is_ok());
        let rejected = last.and_then(|last| last.rejected());
        let rejects = rejected.as_ref().map_or(0, |(count, _)| *count);
        let cause = match (&result, rejected) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(()), Some((count, why))) => Some(format!("{count} rejected: {why}")),
            (Ok(()), None) => None,
        };
        let fails = result.is_err();
        let changed = self.failing.swap(fails, Ordering::Relaxed) != fails;
        self.losses.ended(self.signal, changed.then_some(fails), cause);
        if let Some(admission) = &self.admission {
            admission.leave(count, rejects, &result);
        }
        self.losses.tell(Instant::now());
        result
    }

    /// Exports. A panic is the exporter's failure: it must not end the thread that it runs on, or nothing would be
    /// exported any more.
    async fn asking<F: Future<Output = OTelSdkResult>>(&self, export: impl FnOnce() -> F) -> OTelSdkResult {
        let panicked = |_| OTelSdkError::InternalFailure("the exporter panicked".to_owned());
        let mut export = match catch_unwind(AssertUnwindSafe(export)).map_err(panicked) {
            Ok(export) => std::pin::pin!(export),
            Err(error) => return Err(error),
        };
        let result = poll_fn(|task| {
            let _entered = self.worker.as_ref().map(Worker::enter);
            match catch_unwind(AssertUnwindSafe(|| export.as_mut().poll(task))) {
                Ok(polled) => polled,
                Err(panic) => Poll::Ready(Err(panicked(panic))),
            }
        });
        let result = result.await;
        match &self.last_response {
            Some(last) => last.explained(result),
            None => result,
        }
    }
}

/// The name only: an exporter may hold headers, and those secrets.
impl<E> fmt::Debug for Reporting<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.leaving(batch.len(), || self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    /// What OpenTelemetry calls, and all that some exporters have.
    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.leaving(0, || self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    /// What OpenTelemetry calls, and all that some exporters have.
    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
