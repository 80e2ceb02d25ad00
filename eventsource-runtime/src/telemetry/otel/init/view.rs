//! The set-up of the page that `TraceView` makes.

use std::path::PathBuf;

use super::TelemetryBuilder;
use crate::telemetry::TraceView;
use crate::telemetry::otel::view::Keeper;

impl TelemetryBuilder {
    /// Keeps the last 20,000 recorded spans, and writes them to `path` as a [`TraceView`] on each flush and at
    /// shutdown. The file is replaced as a whole, so that a reader never sees half of it; if it cannot be written, the
    /// flush fails.
    ///
    /// For development and tests: the spans are held in memory, some kilobytes each.
    pub fn view(self, path: impl Into<PathBuf>) -> Self {
        let view = TraceView::new(self.env.service_name(&self.service_name));
        self.span_processor(Keeper::new(path.into(), view))
    }
}
