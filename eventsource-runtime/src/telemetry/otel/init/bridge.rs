//! The set-up of the bridge to `tracing`.

use super::TelemetryBuilder;

impl TelemetryBuilder {
    /// Creates our spans as `tracing` spans if the subscriber has
    /// [`tracing_layer`](crate::telemetry::Telemetry::tracing_layer) or another layer of `tracing-opentelemetry`: the
    /// same tree with the same attributes, which filters and other layers see too. A span that the subscriber's filter
    /// rejects is not created, and what runs below it becomes a child of the one above.
    ///
    /// `event_store.read_all` is created once its page is read, and backdated: for `tracing` it begins only then, and
    /// below another layer than ours, which cannot backdate it, it is OpenTelemetry's alone. A span costs more than
    /// twice as much this way.
    pub fn bridge_to_tracing(mut self) -> Self {
        self.bridged = true;
        self
    }
}
