//! What Prometheus scrapes: the metrics as text, and a small server for programs that have none.

mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use crate::telemetry::log;
pub use server::ScrapeServer;

/// The metrics of a set-up, for Prometheus: pass it to [`prometheus`](crate::telemetry::TelemetryBuilder::prometheus),
/// and serve [`text`](Self::text) where Prometheus asks for it, or use [`serve`](Self::serve).
///
/// Names are those of the registry with underscores and the unit: `cqrs_command_total`,
/// `cqrs_command_duration_seconds`.
///
/// ```
/// use eventsource_runtime::telemetry::{Scrape, Telemetry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scrape = Scrape::new();
/// let telemetry = Telemetry::builder("orders").prometheus(&scrape).build()?;
/// assert!(scrape.text().contains("service_name=\"orders\""));
/// # telemetry.shutdown_blocking()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Scrape {
    set_up: Arc<ArcSwapOption<SetUp>>,
}

/// What is scraped.
struct SetUp {
    registry: Registry,
    /// Whether a callback of an instrument has: that poisons the locks of OpenTelemetry's SDK, which then reports
    /// nothing, as after a shutdown.
    panicked: AtomicBool,
}

impl Scrape {
    /// The content type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Nothing to scrape yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is scraped from now on.
    pub(in crate::telemetry::otel) fn read_from(&self, registry: Registry) {
        self.set_up.store(Some(Arc::new(SetUp { registry, panicked: AtomicBool::new(false) })));
    }

    /// The current metrics in Prometheus' text format; empty before a set-up, and after its shutdown. The cost grows
    /// with the number of series, so call it for scrapes, not for requests.
    ///
    /// # Panics
    /// A callback of an instrument panics. OpenTelemetry's SDK reports no metrics after that: the text is empty from
    /// then on.
    #[must_use]
    pub fn text(&self) -> String {
        self.try_text().unwrap_or_default()
    }

    /// `None` if a panic has left nothing to report.
    fn try_text(&self) -> Option<String> {
        let Some(set_up) = self.set_up.load_full() else { return Some(String::new()) };
        let mut families = set_up.gather();
        if families.is_empty() && set_up.panicked.load(Ordering::Relaxed) {
            return None;
        }
        families.iter_mut().for_each(single_suffix);
        // Fails only on a family without samples, which the exporter does not create.
        Some(TextEncoder::new().encode_to_string(&families).unwrap_or_default())
    }

    /// Answers `GET /metrics` at an address, on threads of its own, until the server is dropped. Up to 8 requests at
    /// a time, each within 5 seconds: enough for Prometheus, but not to be exposed to the public. Dropping the server
    /// waits for no client; those that are being answered still are.
    ///
    /// # Errors
    /// The address is taken, or the system provides no thread.
    pub fn serve(&self, address: impl ToSocketAddrs) -> io::Result<ScrapeServer> {
        ScrapeServer::start(self.clone(), address)
    }
}

impl SetUp {
    fn gather(&self) -> Vec<MetricFamily> {
        catch_unwind(AssertUnwindSafe(|| self.registry.gather())).unwrap_or_else(|panic| {
            if !self.panicked.swap(true, Ordering::Relaxed) {
                log::export_fails("metrics", &"a callback of an instrument panicked: nothing can be scraped any more");
            }
            resume_unwind(panic)
        })
    }
}

/// A counter's name ends in `_total`: the exporter appends that even if it is there.
fn single_suffix(family: &mut MetricFamily) {
    if let Some(name) = family.name().strip_suffix("_total").filter(|name| name.ends_with("_total")) {
        let name = name.to_owned();
        family.set_name(name);
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").field("set_up", &self.set_up.load().is_some()).finish()
    }
}
