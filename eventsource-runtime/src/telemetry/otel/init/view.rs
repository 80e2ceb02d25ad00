//! The set-up of the page that `TraceView` makes.

use std::path::PathBuf;

use super::TelemetryBuilder;
use crate::telemetry::TraceView;
use crate::telemetry::otel::view::Keeper;

impl TelemetryBuilder {
    /// Keeps the last 20,000 spans that are recorded, and writes them to `path` as a [`TraceView`] when telemetry is
    /// flushed and when it is shut down. The file is replaced as a whole, so that a reader never meets half of it; that
    /// it cannot be written comes out of the flush.
    ///
    /// For development and for tests: the spans are held in memory, some kilobytes each.
    pub fn view(self, path: impl Into<PathBuf>) -> Self {
        let view = TraceView::new(self.env.service_name(&self.service_name));
        self.span_processor(Keeper::new(path.into(), view))
    }
}
