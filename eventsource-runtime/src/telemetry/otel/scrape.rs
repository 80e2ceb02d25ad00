//! What Prometheus scrapes: the metrics as text.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use opentelemetry::Context;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use super::pipeline::root_of;
use super::toggle;
use crate::telemetry::log;

/// The metrics of a set-up, for Prometheus: pass it to [`prometheus`](crate::telemetry::TelemetryBuilder::prometheus),
/// and serve [`text`](Self::text), with [`CONTENT_TYPE`](Self::CONTENT_TYPE), where Prometheus asks for it.
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
    registry: Arc<ArcSwapOption<Registry>>,
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
        self.registry.store(Some(Arc::new(registry)));
    }

    /// The current metrics in Prometheus' text format; empty before a set-up, and after its shutdown. The cost grows
    /// with the number of series, so call it for scrapes, not for requests.
    ///
    /// # Panics
    /// A callback of an instrument panics. OpenTelemetry's SDK reports no metrics after that: the text is empty from
    /// then on.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(registry) = self.registry.load_full() else { return String::new() };
        let mut families = gather(&registry);
        families.iter_mut().for_each(single_suffix);
        // Fails only on a family without samples, which the exporter does not create.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

/// After a panic in a callback the locks of OpenTelemetry's SDK are poisoned: it reports nothing, as after a shutdown.
fn gather(registry: &Registry) -> Vec<MetricFamily> {
    catch_unwind(AssertUnwindSafe(|| registry.gather())).unwrap_or_else(|panic| {
        // The caller's span has no part in it.
        let _outside = toggle::has_context().then(|| Context::map_current(root_of).attach());
        log::lost("metrics", None, "a callback of an instrument panicked: nothing can be scraped any more");
        resume_unwind(panic)
    })
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
        f.debug_struct("Scrape").field("set_up", &self.registry.load().is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;
    use crate::telemetry::Telemetry;
    use crate::telemetry::otel::metrics;

    #[test]
    fn metrics_have_the_names_that_dashboards_use() {
        let scrape = Scrape::new();
        assert_eq!(scrape.text(), "");
        let telemetry = Telemetry::builder("orders").prometheus(&scrape).build().unwrap();
        let attached = telemetry.attach();
        let (name, elapsed) = ("PlaceOrder", Duration::from_millis(3));
        metrics::command(&metrics::Ended { name, status: "success", error_type: None, elapsed }, 1, None);
        drop(attached);
        let text = scrape.text();
        let total =
            "cqrs_command_total{command_status=\"success\",command_type=\"PlaceOrder\",cqrs_side=\"write\"} 1\n";
        assert!(text.contains(total), "{text}");
        assert!(text.contains("cqrs_command_duration_seconds_bucket{"), "{text}");
        assert!(!text.contains("_total_total"), "{text}");
        telemetry.shutdown_blocking().unwrap();
        assert_eq!(scrape.text(), "");
    }

    #[test]
    fn a_panic_in_a_callback_is_passed_on_and_leaves_no_metrics() {
        let (scrape, registry) = (Scrape::new(), Registry::new());
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let panicked = AtomicBool::new(false);
        let _gauge = meters
            .meter("orders")
            .u64_observable_gauge("orders")
            .with_callback(move |_| assert!(panicked.swap(true, Ordering::Relaxed), "an instrument's own"))
            .build();
        scrape.read_from(registry);
        assert!(catch_unwind(AssertUnwindSafe(|| scrape.text())).is_err());
        assert_eq!(scrape.text(), "");
    }
}
