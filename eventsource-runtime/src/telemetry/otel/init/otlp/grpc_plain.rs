//! gRPC in a build without the feature `otlp-tls`: addresses that ask for TLS were refused before.

use tonic::transport::Endpoint;

use super::settings::Settings;
use crate::telemetry::TelemetryError;

#[expect(clippy::unnecessary_wraps, reason = "its twin with TLS may fail")]
pub(super) fn secured(endpoint: Endpoint, settings: &Settings) -> Result<Endpoint, TelemetryError> {
    match &settings.tls {
        None => Ok(endpoint),
        Some(tls) => match *tls {},
    }
}
