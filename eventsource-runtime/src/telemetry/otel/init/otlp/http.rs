//! OTLP over HTTP with protobuf.

use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use reqwest::redirect::Policy;

use super::settings::Settings;
use super::{failed, tls};
use crate::telemetry::TelemetryError;

/// An exporter's builder with all settings. The client is ours, so that no feature that somebody else enables on the
/// exporter's crate replaces it.
pub(super) fn prepared<B>(builder: B, settings: &Settings) -> Result<B, TelemetryError>
where
    B: WithExportConfig + WithHttpConfig,
{
    // A redirect would send the headers, and with them the secrets, elsewhere.
    let client = reqwest::Client::builder().timeout(settings.timeout).redirect(Policy::none());
    let client = client.default_headers(settings.headers.clone());
    let client = tls::secured(client, settings)?.build().map_err(|error| failed(settings.signal, error))?;
    Ok(builder
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&settings.url)
        .with_timeout(settings.timeout)
        .with_http_client(client))
}
