//! The readers of metrics, and what they read.

use std::fmt;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use super::console::{LONGEST_FLUSH, Printing};
use super::env::Signal;
use super::flush::Outlets;
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

    pub(super) fn build(self, resource: Resource, outlets: &mut Outlets) -> SdkMeterProvider {
        let meters = self.added.into_iter().fold(SdkMeterProvider::builder(), |meters, add| add(meters));
        let meters = meters.with_resource(resource).build();
        let (flushed, ended, timeout) = (meters.clone(), meters.clone(), outlets.timeout);
        // Waits for the terminal, after what the others had to wait for.
        let drained = move |timeout| self.printing.as_ref().map_or(Ok(()), |printing| printing.drain(timeout));
        let drained_at_last = drained.clone();
        outlets.add(
            Signal::Metrics,
            move || flushed.force_flush().and(drained(LONGEST_FLUSH)),
            move || ended.shutdown_with_timeout(timeout).and(drained_at_last(timeout)),
        );
        meters
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("added", &self.added.len()).finish_non_exhaustive()
    }
}
