//! The readers of metrics, and what they read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use super::env::Signal;
use super::flushes::Flushes;
use super::ignored::Ignored;
use super::numbers::periodic;

/// Adds readers or views.
type Add = Box<dyn FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send>;

/// The readers and views of metrics, before the set-up. They are made with it, once it can no longer fail: the thread of
/// a reader that no provider shuts down never ends, and keeps its exporter.
#[derive(Default)]
pub(super) struct Readers(Vec<Add>);

impl Readers {
    pub(super) fn add(&mut self, add: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send + 'static) {
        self.0.push(Box::new(add));
    }

    pub(super) fn export(&mut self, exporter: impl PushMetricExporter, ignored: &Ignored) {
        let ignored = ignored.clone();
        self.add(move |meters| meters.with_reader(periodic(exporter, &ignored)));
    }

    /// Whether nobody reads the metrics.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes those that were added.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn build(self, resource: Resource) -> Meters {
        let meters = self.0.into_iter().fold(SdkMeterProvider::builder(), |meters, add| add(meters));
        Meters { provider: meters.with_resource(resource).build() }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("added", &self.0.len()).finish()
    }
}

/// The running readers, and what creates the instruments.
#[derive(Clone)]
pub(super) struct Meters {
    pub(super) provider: SdkMeterProvider,
}

impl Meters {
    pub(super) fn flushes(&self) -> Arc<Flushes> {
        let provider = self.provider.clone();
        Flushes::new(Signal::Metrics, move || provider.force_flush())
    }

    pub(super) fn shutdown(&self, timeout: Duration) -> Arc<Flushes> {
        let provider = self.provider.clone();
        Flushes::new(Signal::Metrics, move || provider.shutdown_with_timeout(timeout))
    }
}
