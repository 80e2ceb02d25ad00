//! Reports to operators when an exporter begins to fail and when it works again, and counts what becomes of spans and
//! log records: OpenTelemetry itself is silent about it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::alarm::Alarm;
use super::batch::Admission;
use super::env::Signal;
use super::otlp::{LastResponse, Worker};
use crate::telemetry::log;

/// An exporter that logs when it begins to fail and when it works again, once each.
pub(super) struct Reporting<E> {
    pub(super) exporter: E,
    signal: Signal,
    alarm: Arc<Alarm>,
    /// Its number for the alarm.
    number: usize,
    /// Admits no more than fits; metrics do not wait.
    admission: Option<Arc<Admission>>,
    /// With whose sockets and timers it works, if it needs any.
    pub(super) worker: Option<Worker>,
    /// What its receiver says, if it is asked over HTTP.
    pub(super) last_response: Option<Arc<LastResponse>>,
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, signal: Signal, alarm: &Arc<Alarm>) -> Self {
        let (alarm, number) = (Arc::clone(alarm), alarm.watch(signal));
        Self { exporter, signal, alarm, number, admission: None, worker: None, last_response: None }
    }

    /// The same, behind an admission that is told what has left.
    pub(super) fn behind(self, admission: &Arc<Admission>) -> Self {
        Self { admission: Some(Arc::clone(admission)), ..self }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        match &result {
            Ok(()) if self.alarm.works(self.number) => log::export_works(self.signal.name()),
            Ok(()) => {}
            Err(error) => {
                if let Some(failures) = self.alarm.fails(self.number, error, Instant::now()) {
                    log::export_fails(&failures.signals, &failures.causes);
                }
            }
        }
        result
    }

    /// Exports so many items that were admitted, and reports the result.
    pub(super) async fn leaving<F>(&self, count: usize, export: impl FnOnce() -> F) -> OTelSdkResult
    where
        F: Future<Output = OTelSdkResult>,
    {
        let result = self.telling(export).await;
        let rejected = self.rejected(&result);
        if let Some(admission) = &self.admission {
            admission.leave(count, rejected, &result);
        }
        result
    }

    /// How many items the receiver did not take of an export that went well otherwise. It says so at most once a
    /// minute.
    fn rejected(&self, result: &OTelSdkResult) -> u64 {
        let last = self.last_response.as_ref().filter(|_| result.is_ok());
        let Some((count, reason)) = last.and_then(|last| last.rejected()) else { return 0 };
        if self.alarm.rings(Instant::now()) {
            log::rejected(self.signal.name(), count, &reason);
        }
        count
    }

    /// Exports, and reports the result. A panic is the exporter's failure: it must not end the thread that it runs on,
    /// or nothing would be exported any more.
    async fn telling<F: Future<Output = OTelSdkResult>>(&self, export: impl FnOnce() -> F) -> OTelSdkResult {
        let panicked = |_| OTelSdkError::InternalFailure("the exporter panicked".to_owned());
        let mut export = match catch_unwind(AssertUnwindSafe(export)).map_err(panicked) {
            Ok(export) => std::pin::pin!(export),
            Err(error) => return self.report(Err(error)),
        };
        let result = poll_fn(|task| {
            let _entered = self.worker.as_ref().map(Worker::enter);
            match catch_unwind(AssertUnwindSafe(|| export.as_mut().poll(task))) {
                Ok(polled) => polled,
                Err(panic) => Poll::Ready(Err(panicked(panic))),
            }
        });
        let result = result.await;
        self.report(match &self.last_response {
            Some(last) => last.explained(result),
            None => result,
        })
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
        let result = self.telling(|| self.exporter.export(metrics)).await;
        self.rejected(&result);
        result
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
