//! The set-up of the bridge to `tracing`.

use super::TelemetryBuilder;

impl TelemetryBuilder {
    /// Makes our spans as spans of `tracing`, wherever the subscriber there has
    /// [`tracing_layer`](crate::telemetry::Telemetry::tracing_layer) or another layer of `tracing-opentelemetry`: the
    /// same tree with the same attributes, which filters and other layers see too. A span that the subscriber's filter
    /// does not want is not made, and what runs below it hangs on the one above.
    ///
    /// A span whose start is dated back (`event_store.read_all`) stays OpenTelemetry's alone, since `tracing` cannot
    /// date back. A span costs more than twice as much this way.
    pub fn bridge_to_tracing(mut self) -> Self {
        self.bridged = true;
        self
    }
}
