//! The readers of metrics, and what they read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use super::console::{LONGEST_FLUSH, Printing};
use super::env::Signal;
use super::flushes::Flushes;
use super::ignored::Ignored;
use super::numbers::periodic;

/// Adds readers or views.
type Add = Box<dyn FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send>;

/// The readers and views of metrics, before the set-up. They are made with it, once it can no longer fail: the thread
/// of a reader that no provider shuts down never ends, and keeps its exporter.
#[derive(Default)]
pub(super) struct Readers {
    added: Vec<Add>,
    /// Prints metrics, if that is asked for.
    printing: Option<Printing>,
}

impl Readers {
    pub(super) fn add(&mut self, add: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send + 'static) {
        self.added.push(Box::new(add));
    }

    pub(super) fn export(&mut self, exporter: impl PushMetricExporter, ignored: &Ignored) {
        let ignored = ignored.clone();
        self.add(move |meters| meters.with_reader(periodic(exporter, &ignored)));
    }

    pub(super) fn print(&mut self, printing: Printing, ignored: &Ignored) {
        self.export(printing.metrics(), ignored);
        self.printing = Some(printing);
    }

    /// Whether nobody reads the metrics.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// Removes those that were added.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn build(self, resource: Resource) -> Meters {
        let meters = self.added.into_iter().fold(SdkMeterProvider::builder(), |meters, add| add(meters));
        Meters { provider: meters.with_resource(resource).build(), printing: self.printing }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

/// The running readers, and what creates the instruments.
#[derive(Clone)]
pub(super) struct Meters {
    pub(super) provider: SdkMeterProvider,
    printing: Option<Printing>,
}

impl Meters {
    pub(super) fn flushes(&self) -> Arc<Flushes> {
        let Self { provider, printing } = self.clone();
        Flushes::new(Signal::Metrics, move || provider.force_flush().and(drained(printing.as_ref(), LONGEST_FLUSH)))
    }

    pub(super) fn shutdown(&self, timeout: Duration) -> Arc<Flushes> {
        let Self { provider, printing } = self.clone();
        Flushes::new(Signal::Metrics, move || {
            provider.shutdown_with_timeout(timeout).and(drained(printing.as_ref(), timeout))
        })
    }
}

/// Waits for the terminal, after what the others had to wait for.
fn drained(printing: Option<&Printing>, timeout: Duration) -> OTelSdkResult {
    printing.map_or(Ok(()), |printing| printing.drain(timeout))
}
