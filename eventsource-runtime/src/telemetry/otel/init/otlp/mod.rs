//! OTLP, over HTTP with protobuf or over gRPC. `settings` reads its variables; where they ask for no compression, the
//! exporter crate reads those of it once more. Input and output are on a thread of their own: see `worker`.

#[cfg(feature = "otlp-grpc")]
mod grpc;
#[cfg(all(feature = "otlp-grpc", not(feature = "otlp-tls")))]
mod grpc_plain;
#[cfg(all(feature = "otlp-grpc", feature = "otlp-tls"))]
mod grpc_tls;
mod http;
mod last_response;
#[cfg(not(feature = "otlp-grpc"))]
mod no_grpc;
#[cfg(not(feature = "otlp-tls"))]
mod no_tls;
mod partial_success;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(feature = "otlp-tls")]
mod tls;
mod worker;

#[cfg(all(feature = "otlp-grpc", not(feature = "otlp-tls")))]
use grpc_plain as grpc_tls;
#[cfg(not(feature = "otlp-grpc"))]
use no_grpc as grpc;
#[cfg(not(feature = "otlp-tls"))]
use no_tls as tls;

use std::cell::OnceCell;
use std::sync::Arc;

use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter};

pub(super) use self::last_response::LastResponse;
use self::settings::{Protocol, Settings};
pub(super) use self::worker::Worker;
use super::batch::Batches;
use super::env::{Env, Signal};
use super::logs::Logs;
use super::losses::Losses;
use super::readers::Readers;
use super::reporting::Reporting;
use super::spans::Spans;
use crate::telemetry::TelemetryError;

/// The exporters of one set-up, which share a thread.
pub(super) struct Otlp<'a> {
    env: &'a Env,
    losses: &'a Arc<Losses>,
    worker: OnceCell<Worker>,
}

impl<'a> Otlp<'a> {
    pub(super) fn new(env: &'a Env, losses: &'a Arc<Losses>) -> Self {
        Self { env, losses, worker: OnceCell::new() }
    }

    pub(super) fn traces(&self, spans: &mut Spans) -> Result<(), TelemetryError> {
        let exporter = self.made(Signal::Traces, |settings, last| match settings.protocol {
            Protocol::Http => Ok(http::prepared(SpanExporter::builder().with_http(), settings, last)?.build()),
            Protocol::Grpc(grpc) => grpc.spans(settings),
        })?;
        spans.export(Batches::new(exporter, self.losses, &self.env.ignored)?);
        Ok(())
    }

    pub(super) fn metrics(&self, readers: &mut Readers) -> Result<(), TelemetryError> {
        let exporter = self.made(Signal::Metrics, |settings, last| match settings.protocol {
            Protocol::Http => {
                let builder = MetricExporter::builder().with_temporality(settings.temporality);
                Ok(http::prepared(builder.with_http(), settings, last)?.build())
            }
            Protocol::Grpc(grpc) => grpc.metrics(settings),
        })?;
        readers.export(exporter, &self.env.ignored);
        Ok(())
    }

    pub(super) fn logs(&self, logs: &mut Logs) -> Result<(), TelemetryError> {
        let exporter = self.made(Signal::Logs, |settings, last| match settings.protocol {
            Protocol::Http => Ok(http::prepared(LogExporter::builder().with_http(), settings, last)?.build()),
            Protocol::Grpc(grpc) => grpc.logs(settings),
        })?;
        logs.add(exporter, self.losses, &self.env.ignored)
    }

    /// The thread, which the first exporter starts.
    fn worker(&self) -> Result<&Worker, TelemetryError> {
        if let Some(worker) = self.worker.get() {
            return Ok(worker);
        }
        let started = Worker::start().map_err(|source| TelemetryError::Thread { source })?;
        Ok(self.worker.get_or_init(|| started))
    }

    /// An exporter that works on the set-up's thread.
    fn made<E>(
        &self,
        signal: Signal,
        make: impl FnOnce(&Settings, &Arc<LastResponse>) -> Made<E>,
    ) -> Result<Reporting<E>, TelemetryError> {
        let settings = Settings::read(self.env, signal)?;
        let worker = self.worker()?;
        let entered = worker.enter();
        let last = Arc::default();
        let exporter = make(&settings, &last)?.map_err(|error| failed(signal, error))?;
        drop(entered);
        let mut reporting = Reporting::new(exporter, signal, self.losses);
        (reporting.worker, reporting.last_response) = (Some(worker.clone()), Some(last));
        Ok(reporting)
    }
}

/// The result of creating an exporter: refused by us, or by the crate that creates it.
type Made<E> = Result<Result<E, ExporterBuildError>, TelemetryError>;

fn failed(signal: Signal, error: impl Into<crate::error::BoxError>) -> TelemetryError {
    TelemetryError::Exporter { signal: signal.name(), source: error.into() }
}
