//! What can go wrong when telemetry is set up or shut down.

use std::time::Duration;

use crate::error::BoxError;

/// Telemetry could not be set up, or not everything could be exported.
///
/// The application itself does not need telemetry: it may report this and go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable asks for what this build leaves out.
    #[error(
        "`{variable}` asks for an exporter that is not built in; enable the cargo feature `{feature}` of `eventsource-runtime`, or unset it"
    )]
    FeatureMissing {
        /// The variable that asks for it.
        variable: &'static str,
        /// The cargo feature to enable.
        feature: &'static str,
    },
    /// A variable has a value that would send telemetry nowhere.
    #[error("`{variable}` is `{value}`, which is not supported; {hint}")]
    Unsupported {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What to write.
        hint: &'static str,
    },
    /// An exporter could not be made.
    #[error("the exporter of {signal} could not be made; check the `OTEL_EXPORTER_OTLP_*` variables")]
    Exporter {
        /// `traces` or `metrics`.
        signal: &'static str,
        /// What the exporter says.
        source: BoxError,
    },
    /// The last spans or metrics were not taken.
    #[error("the last {signal} were not exported; check that the receiver is up and reachable")]
    NotExported {
        /// `traces` or `metrics`.
        signal: &'static str,
        /// What the exporter says.
        source: BoxError,
    },
    /// Exporting took longer than allowed; what was not exported by then may be lost.
    #[error("not everything was exported within {after:?}; check the receiver, or allow more with `shutdown_timeout`")]
    TimedOut {
        /// The time allowed.
        after: Duration,
    },
    /// The system gave no thread to export on.
    #[error("no thread could be started to export on; free some, then try again")]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
}
