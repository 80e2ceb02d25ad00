//! OTLP in a build without the feature `otlp`: an error that names it.

use std::sync::Arc;

use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::TracerProviderBuilder;

use super::batch::Processed;
use super::env::{Endpoint, Env};
use crate::telemetry::TelemetryError;

pub(super) fn traces(
    _env: &Env,
    endpoint: &Endpoint,
    _spans: TracerProviderBuilder,
    _processed: &Arc<Processed>,
) -> Result<TracerProviderBuilder, TelemetryError> {
    Err(missing(endpoint))
}

pub(super) fn metrics(
    _env: &Env,
    endpoint: &Endpoint,
    _meters: MeterProviderBuilder,
) -> Result<MeterProviderBuilder, TelemetryError> {
    Err(missing(endpoint))
}

fn missing(endpoint: &Endpoint) -> TelemetryError {
    TelemetryError::FeatureMissing { variable: endpoint.variable, feature: "otlp" }
}
