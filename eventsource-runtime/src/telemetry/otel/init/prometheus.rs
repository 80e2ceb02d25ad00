//! The set-up of what Prometheus scrapes.

use super::TelemetryBuilder;
use crate::telemetry::Scrape;

impl TelemetryBuilder {
    /// Makes the metrics of this set-up what `scrape` tells, in place of an earlier set-up's. Other exporters of metrics go
    /// on beside it.
    pub fn prometheus(self, scrape: &Scrape) -> Self {
        let registry = prometheus::Registry::new();
        // Every label of the scope would be the same on every series.
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        match exporter.build() {
            Ok(reader) => {
                scrape.read_from(registry);
                self.meters(|meters| meters.with_reader(reader))
            }
            // It fails where the registry has the same collector already, and this one is new.
            Err(_) => self,
        }
    }
}
