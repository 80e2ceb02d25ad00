//! The set-up of the bridge to `tracing`.

use super::TelemetryBuilder;

impl TelemetryBuilder {
    /// Creates our spans as `tracing` spans if the subscriber has
    /// [`tracing_layer`](crate::telemetry::Telemetry::tracing_layer) or another layer of `tracing-opentelemetry`: the
    /// same tree with the same attributes, which filters and other layers see too. A span that the subscriber's filter
    /// rejects is not created, and what runs below it becomes a child of the one above.
    ///
    /// A span whose start is backdated (`event_store.read_all`) is created by OpenTelemetry alone, since `tracing`
    /// cannot backdate. A span costs more than twice as much this way.
    pub fn bridge_to_tracing(mut self) -> Self {
        self.bridged = true;
        self
    }
}
