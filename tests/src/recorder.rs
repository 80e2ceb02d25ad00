//! Telemetry of one test, apart from every other's.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::telemetry::{Telemetry, TelemetryBuilder};
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, Span, SpanData, SpanProcessor};

use crate::registry::Measured;
use crate::trees::Trees;

/// Within which what waits is exported, on a busy machine too: of tests of deadlines none is about this one.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Captures the spans of what runs in it.
#[derive(Debug)]
pub struct Recorder {
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
    balance: Balance,
}

impl Recorder {
    /// Captures every span.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Captures metrics too, which the exporter gets.
    #[must_use]
    pub fn measured() -> (Self, InMemoryMetricExporter) {
        let metrics = InMemoryMetricExporter::default();
        (Self::with(|builder| builder.metric_exporter(metrics.clone())), metrics)
    }

    /// Captures with a set-up of the test's own.
    ///
    /// # Panics
    /// If the set-up is refused.
    pub fn with(set: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let spans = InMemorySpanExporter::default();
        let balance = Balance::default();
        let builder = Telemetry::builder("tests").simple_exporter(spans.clone()).span_processor(balance.clone());
        let telemetry = set(builder.shutdown_timeout(PATIENCE)).build().expect("the set-up is in order");
        Self { telemetry, spans, balance }
    }

    /// The set-up behind it.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Runs a future, capturing its spans.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        self.telemetry.run(body).await
    }

    /// A tracer of somebody else's, over the same provider.
    #[must_use]
    pub fn tracer(&self) -> SdkTracer {
        self.telemetry.tracer_provider().tracer("somebody-else")
    }

    /// Exports what is waiting, metrics too.
    ///
    /// # Panics
    /// If an exporter fails.
    pub async fn flush(&self) {
        self.telemetry.force_flush().await.expect("the exporters work");
    }

    /// The spans that have ended, in the order in which they did.
    ///
    /// # Panics
    /// If the exporter has been poisoned.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().expect("the exporter works")
    }

    /// The spans that have ended, as trees.
    #[must_use]
    pub fn trees(&self) -> Trees {
        Trees::new(self.spans())
    }

    /// How many spans have started and not ended.
    #[must_use]
    pub fn open_spans(&self) -> usize {
        let ended = self.balance.ended();
        self.balance.started.load(Ordering::SeqCst) - ended
    }

    /// How many spans have started.
    #[must_use]
    pub fn started_spans(&self) -> usize {
        self.balance.started.load(Ordering::SeqCst)
    }
}

/// The value of a gauge of whole numbers that an exporter saw last.
#[must_use]
pub fn gauge(metrics: &InMemoryMetricExporter, name: &str) -> Option<u64> {
    Measured::last(metrics).iter().rfind(|point| point.name == name).map(|point| point.count)
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts starts against ends.
#[derive(Clone, Debug, Default)]
pub struct Balance {
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Balance {
    /// How many spans have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

impl SpanProcessor for Balance {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn on_end(&self, _: SpanData) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
