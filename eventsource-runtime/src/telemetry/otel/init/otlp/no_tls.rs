//! TLS in a build without the feature `otlp-tls`: an error that names it, never plain text instead.

use reqwest::ClientBuilder;

use super::settings::Settings;
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::init::env::{Env, Signal};

/// Nobody to trust.
pub(super) enum Tls {}

pub(super) fn read(_env: &Env, _signal: Signal, variable: &'static str) -> Result<Tls, TelemetryError> {
    Err(TelemetryError::FeatureMissing { variable, feature: "otlp-tls" })
}

#[expect(clippy::unnecessary_wraps, reason = "its twin with TLS may fail")]
pub(super) fn secured(client: ClientBuilder, settings: &Settings) -> Result<ClientBuilder, TelemetryError> {
    match &settings.tls {
        None => Ok(client),
        Some(tls) => match *tls {},
    }
}
