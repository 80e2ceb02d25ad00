//! Tells operators when an exporter begins to fail and when it works again: OpenTelemetry itself is silent about it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::env::Signal;
use crate::telemetry::log;

/// An exporter whose changes of fortune are logged, once each.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    exporter: E,
    signal: Signal,
    failing: AtomicBool,
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, signal: Signal) -> Self {
        Self { exporter, signal, failing: AtomicBool::new(false) }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let failed = result.is_err();
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            match &result {
                Ok(()) => log::export_works(self.signal.name()),
                Err(error) => log::export_fails(self.signal.name(), error),
            }
        }
        result
    }
}

/// A panic in an exporter is its failure: it must not end the thread that it runs on, or nothing is exported ever after.
async fn guarded<F: Future<Output = OTelSdkResult>>(export: impl FnOnce() -> F) -> OTelSdkResult {
    let panicked = |_| OTelSdkError::InternalFailure("the exporter panicked".to_owned());
    let mut export = std::pin::pin!(catch_unwind(AssertUnwindSafe(export)).map_err(panicked)?);
    poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| export.as_mut().poll(task))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(panic))),
    })
    .await
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(guarded(|| self.exporter.export(batch)).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
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
        self.report(guarded(|| self.exporter.export(metrics)).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
