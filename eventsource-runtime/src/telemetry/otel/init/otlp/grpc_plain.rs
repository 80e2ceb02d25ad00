//! gRPC in a build without the feature `otlp-tls`: addresses that ask for TLS were refused before.

use tonic::transport::Endpoint;

use super::settings::Settings;
use crate::telemetry::TelemetryError;

pub(super) fn secured(endpoint: Endpoint, settings: &Settings) -> Result<Endpoint, TelemetryError> {
    match &settings.tls {
        None => Ok(endpoint),
        Some(tls) => match *tls {},
    }
}
