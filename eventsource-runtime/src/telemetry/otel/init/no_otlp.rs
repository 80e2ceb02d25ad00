//! OTLP in a build without the feature `otlp`: an error that names it.

use opentelemetry_sdk::error::OTelSdkResult;

use super::env::{Env, Signal};
use super::logs::Logs;
use super::losses::Losses;
use super::readers::Readers;
use super::spans::Spans;
use crate::telemetry::TelemetryError;

/// No thread is needed.
#[derive(Debug)]
pub(super) enum Worker {}

impl Worker {
    pub(super) fn enter(&self) -> Self {
        match *self {}
    }
}

/// Nobody is asked, so that nobody responds.
#[derive(Debug)]
pub(super) enum LastResponse {}

impl LastResponse {
    pub(super) fn explained(&self, _: OTelSdkResult) -> OTelSdkResult {
        match *self {}
    }

    pub(super) fn rejected(&self) -> Option<(u64, String)> {
        match *self {}
    }
}

pub(super) struct Otlp<'a>(&'a Env);

impl<'a> Otlp<'a> {
    pub(super) fn new(env: &'a Env, _losses: &Losses) -> Self {
        Self(env)
    }

    pub(super) fn traces(&self, _spans: &mut Spans) -> Result<(), TelemetryError> {
        Err(self.missing(Signal::Traces))
    }

    pub(super) fn metrics(&self, _readers: &mut Readers) -> Result<(), TelemetryError> {
        Err(self.missing(Signal::Metrics))
    }

    pub(super) fn logs(&self, _logs: &mut Logs) -> Result<(), TelemetryError> {
        Err(self.missing(Signal::Logs))
    }

    fn missing(&self, signal: Signal) -> TelemetryError {
        let variable = self.0.endpoint(signal).map_or(signal.exporter_variable(), |(variable, _)| variable);
        TelemetryError::FeatureMissing { variable, feature: "otlp" }
    }
}
