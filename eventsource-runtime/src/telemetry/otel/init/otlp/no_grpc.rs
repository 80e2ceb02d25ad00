//! gRPC in a build without the feature `otlp-grpc`: an error that names it.

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};

use super::Made;
use super::settings::Settings;
use crate::telemetry::TelemetryError;

/// It is not built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grpc {}

impl Grpc {
    pub(super) fn chosen_by(variable: &'static str) -> Result<Self, TelemetryError> {
        Err(TelemetryError::FeatureMissing { variable, feature: "otlp-grpc" })
    }

    pub(super) fn spans(self, _settings: &Settings) -> Made<SpanExporter> {
        match self {}
    }

    pub(super) fn metrics(self, _settings: &Settings) -> Made<MetricExporter> {
        match self {}
    }

    pub(super) fn logs(self, _settings: &Settings) -> Made<LogExporter> {
        match self {}
    }
}
