//! Tells operators when an exporter begins to fail and when it works again: OpenTelemetry itself is silent about it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::env::Signal;
use super::otlp::Worker;
use crate::telemetry::log;

/// How often, at most, it is logged that an exporter fails, or that spans are dropped.
pub(super) const EVERY: Duration = Duration::from_mins(1);

/// An exporter whose changes of fortune are logged, once each.
pub(super) struct Reporting<E> {
    pub(super) exporter: E,
    signal: Signal,
    told: Mutex<Told>,
    pub(super) worker: Option<Worker>,
}

/// What was told last.
#[derive(Default)]
struct Told {
    failing: bool,
    /// When it was told that the exporter fails.
    since: Option<Instant>,
}

impl Told {
    /// Whether the change is to be told: a failure once a minute at most, for an exporter that fails now and then, and
    /// that it works again if it was told to fail.
    fn changes(&mut self, failing: bool, now: Instant) -> bool {
        if failing == self.failing || failing && self.since.is_some_and(|since| now < since + EVERY) {
            return false;
        }
        self.failing = failing;
        if failing {
            self.since = Some(now);
        }
        true
    }
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, signal: Signal) -> Self {
        Self { exporter, signal, told: Mutex::default(), worker: None }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let changes = self.told.lock().unwrap_or_else(PoisonError::into_inner).changes(result.is_err(), Instant::now());
        match &result {
            Ok(()) if changes => log::export_works(self.signal.name()),
            Err(error) if changes => log::export_fails(self.signal.name(), error),
            _ => {}
        }
        result
    }

    /// Exports, and tells. A panic is the exporter's failure: it must not end the thread that it runs on, or nothing is
    /// exported ever after.
    pub(super) async fn telling<F: Future<Output = OTelSdkResult>>(&self, export: impl FnOnce() -> F) -> OTelSdkResult {
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
        self.report(result.await)
    }
}

/// The name alone: an exporter may hold headers, and those secrets.
impl<E> fmt::Debug for Reporting<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.telling(|| self.exporter.export(batch)).await
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
        self.telling(|| self.exporter.export(metrics)).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_that_fails_now_and_then_is_told_once_a_minute() {
        let (mut told, begun) = (Told::default(), Instant::now());
        let outcomes = (0..120).map(|second| (second % 2 == 0, begun + Duration::from_secs(second)));
        let lines: Vec<_> = outcomes.filter(|(failing, now)| told.changes(*failing, *now)).collect();
        let seconds: Vec<_> = lines.iter().map(|(failing, now)| (*failing, (*now - begun).as_secs())).collect();
        assert_eq!(seconds, [(true, 0), (false, 1), (true, 60), (false, 61)]);
    }
}
