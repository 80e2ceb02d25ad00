//! Reports to operators when an exporter begins to fail and when it works again, and counts what becomes of spans and
//! log records: OpenTelemetry itself is silent about it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use super::otlp::{LastResponse, Worker};
use crate::telemetry::log;

/// The shortest time between log events about losses of a signal, whatever they are, in milliseconds.
const EVERY: u64 = 60_000;

/// Lets one line a minute out about each signal's losses: another of the set-up may have another cause, or be well.
#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) began: Instant,
    traces: Bell,
    metrics: Bell,
    logs: Bell,
}

/// When it may ring again, in milliseconds since the alarm began; for what a full queue drops, which is reported a
/// thousand times as often, a minute later than for the failures that cause it.
#[derive(Debug, Default)]
struct Bell {
    from: AtomicU64,
    from_for_drops: AtomicU64,
}

impl Alarm {
    /// Whether to log that an exporter fails.
    pub(super) fn rings(&self, signal: Signal, now: Instant) -> bool {
        self.of(signal).rings(self.millis(now))
    }

    /// Whether to log that something was dropped.
    pub(super) fn rings_for_drop(&self, signal: Signal, now: Instant) -> bool {
        let (bell, now) = (self.of(signal), self.millis(now));
        let rings = now >= bell.from_for_drops.load(Ordering::Relaxed) && bell.rings(now);
        if rings {
            bell.from_for_drops.store(now.saturating_add(2 * EVERY), Ordering::Relaxed);
        }
        rings
    }

    fn of(&self, signal: Signal) -> &Bell {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// The time, in milliseconds since it began.
    pub(super) fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Bell {
    fn rings(&self, now: u64) -> bool {
        let known = self.from.load(Ordering::Relaxed);
        let next = now.saturating_add(EVERY);
        now >= known && self.from.compare_exchange(known, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self { began: Instant::now(), traces: Bell::default(), metrics: Bell::default(), logs: Bell::default() }
    }
}

/// An exporter that logs when it begins to fail and when it works again, once each.
pub(super) struct Reporting<E> {
    pub(super) exporter: E,
    signal: Signal,
    alarm: Arc<Alarm>,
    /// Whether its failure was reported.
    failing: AtomicBool,
    /// Admits no more than fits; metrics do not wait.
    admission: Option<Arc<Admission>>,
    /// With whose sockets and timers it works, if it needs any.
    pub(super) worker: Option<Worker>,
    /// What its receiver says, if it is asked over HTTP.
    pub(super) last_response: Option<Arc<LastResponse>>,
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, signal: Signal, alarm: &Arc<Alarm>) -> Self {
        let (alarm, failing) = (Arc::clone(alarm), AtomicBool::new(false));
        Self { exporter, signal, alarm, failing, admission: None, worker: None, last_response: None }
    }

    /// The same, behind an admission that is told what has left.
    pub(super) fn behind(self, admission: &Arc<Admission>) -> Self {
        Self { admission: Some(Arc::clone(admission)), ..self }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        match &result {
            Ok(()) if self.changes(false, Instant::now()) => log::export_works(self.signal.name()),
            Err(error) if self.changes(true, Instant::now()) => log::export_fails(self.signal.name(), error),
            _ => {}
        }
        result
    }

    /// Whether to report the change: a failure if the alarm lets it, and a recovery if the failure was reported.
    fn changes(&self, failing: bool, now: Instant) -> bool {
        if failing == self.failing.load(Ordering::Relaxed) || failing && !self.alarm.rings(self.signal, now) {
            return false;
        }
        self.failing.store(failing, Ordering::Relaxed);
        true
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
        if self.alarm.rings(self.signal, Instant::now()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_that_fails_now_and_then_is_told_once_a_minute() {
        let spans = Reporting::new((), Signal::Traces, &Arc::default());
        let mut lines = Vec::new();
        for second in 0..120 {
            let failing = second % 2 == 0;
            if spans.changes(failing, spans.alarm.began + Duration::from_secs(second)) {
                lines.push((second, failing));
            }
        }
        assert_eq!(lines, [(0, true), (1, false), (60, true), (61, false)]);
    }

    /// For most of a minute the log named the first of them alone, as if the others were well.
    #[test]
    fn signals_that_fail_at_once_are_told_at_once_and_two_exporters_of_one_a_minute_apart() {
        let alarm = Arc::default();
        let signals = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Traces];
        let exporters = signals.map(|signal| Reporting::new((), signal, &alarm));
        let told = |second| {
            let now = alarm.began + Duration::from_secs(second);
            exporters.each_ref().map(|exporter| exporter.changes(true, now))
        };
        assert_eq!([told(0), told(59)], [[true, true, true, false], [false; 4]]);
        assert_eq!([told(60), told(120)], [[false, false, false, true], [false; 4]]);
    }

    #[test]
    fn what_is_dropped_all_the_time_leaves_room_for_the_cause() {
        let alarm = Arc::<Alarm>::default();
        let logs = Reporting::new((), Signal::Logs, &alarm);
        let mut lines = Vec::new();
        for second in 0..200 {
            let now = alarm.began + Duration::from_secs(second);
            if alarm.rings_for_drop(Signal::Logs, now) {
                lines.push((second, "dropped"));
            }
            if second > 0 && logs.changes(true, now) {
                lines.push((second, "fails"));
            }
        }
        assert_eq!(lines, [(0, "dropped"), (60, "fails"), (120, "dropped")]);
    }
}
