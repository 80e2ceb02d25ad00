//! What can go wrong when telemetry is set up or shut down.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::BoxError;

/// Telemetry could not be set up, or not everything could be exported.
///
/// The application itself does not need telemetry: it may report this and go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable asks for something that this build leaves out.
    #[error(
        "`{variable}` asks for an exporter that is not built in; enable the cargo feature `{feature}` of `eventsource-runtime`, or unset it"
    )]
    #[non_exhaustive]
    FeatureMissing {
        /// The variable that asks for it.
        variable: &'static str,
        /// The cargo feature to enable.
        feature: &'static str,
    },
    /// A variable has a value that would send telemetry nowhere.
    #[error("`{variable}` is `{value}`, which is not supported; {hint}")]
    #[non_exhaustive]
    Unsupported {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What to write.
        hint: &'static str,
    },
    /// A file that a variable names cannot be read.
    #[error("`{variable}` names `{}`, which cannot be read; write the path of a PEM file", path.display())]
    #[non_exhaustive]
    Unreadable {
        /// The variable.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An exporter could not be created.
    #[error("the exporter of {signal} could not be made; check the `OTEL_EXPORTER_OTLP_*` variables")]
    #[non_exhaustive]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// The exporter's error.
        source: BoxError,
    },
    /// The last spans, metrics or log records were not accepted.
    #[error("the last {signal} were not exported; check that the receiver is up and reachable")]
    #[non_exhaustive]
    NotExported {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// The exporter's error.
        source: BoxError,
    },
    /// Exporting took longer than allowed; what was not exported by then may be lost.
    #[error("not everything was exported within {after:?}; check the receiver, or allow more with `shutdown_timeout`")]
    #[non_exhaustive]
    TimedOut {
        /// The time allowed.
        after: Duration,
    },
    /// This process was forked after telemetry was set up: the threads that export run in its parent alone.
    #[error(
        "this process was forked after telemetry was set up, and the threads that export are its parent's; fork first, \
         then set it up"
    )]
    Forked,
    /// The system provided no thread to export on.
    #[error("no thread could be started to export on; free some, then try again")]
    #[non_exhaustive]
    Thread {
        /// The system's error.
        source: std::io::Error,
    },
}

impl TelemetryError {
    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::FeatureMissing { .. } => "feature_missing",
            Self::Unsupported { .. } => "unsupported",
            Self::Unreadable { .. } => "unreadable",
            Self::Exporter { .. } => "exporter",
            Self::NotExported { .. } => "not_exported",
            Self::TimedOut { .. } => "timeout",
            Self::Forked => "forked",
            Self::Thread { .. } => "thread",
        }
    }
}
