//! The set-up of what Prometheus scrapes.

use prometheus::Registry;

use super::TelemetryBuilder;
use crate::telemetry::Scrape;

/// Who will report the metrics of a set-up, once there is one: it may still fail, and an earlier one continues.
#[derive(Debug, Default)]
pub(super) struct Scrapes(Vec<(Scrape, Registry)>);

impl Scrapes {
    /// The set-up is there.
    pub(super) fn begin(self) {
        for (scrape, registry) in self.0 {
            scrape.read_from(registry);
        }
    }
}

impl TelemetryBuilder {
    /// Makes `scrape` serve the metrics of this set-up, in place of an earlier set-up's. Other metric exporters
    /// continue beside it. A set-up that fails, or that `OTEL_SDK_DISABLED` switches off, replaces none.
    pub fn prometheus(mut self, scrape: &Scrape) -> Self {
        let registry = Registry::new();
        // Every label of the scope would be the same on every series.
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        match exporter.build() {
            Ok(reader) => {
                self.scrapes.0.push((scrape.clone(), registry));
                self.meters(move |meters| meters.with_reader(reader))
            }
            // Fails only if the registry has the same collector already, and this one is new.
            Err(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::builder;
    use super::*;

    /// It did from the builder on.
    #[test]
    fn a_set_up_that_does_not_come_to_be_takes_no_metrics_away() {
        let scrape = Scrape::new();
        let first = builder(&[("OTEL_SERVICE_NAME", "first")]).prometheus(&scrape).build().unwrap();
        let is_first = || scrape.text().contains("service_name=\"first\"");
        assert!(is_first());
        builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x")]).prometheus(&scrape).build().unwrap_err();
        assert!(is_first());
        let off = builder(&[("OTEL_SDK_DISABLED", "true")]).prometheus(&scrape).build().unwrap();
        assert!(is_first());
        let second = builder(&[("OTEL_SERVICE_NAME", "second")]).prometheus(&scrape).build().unwrap();
        assert!(!is_first() && scrape.text().contains("service_name=\"second\""));
        for telemetry in [first, off, second] {
            telemetry.shutdown_blocking().unwrap();
        }
    }
}
