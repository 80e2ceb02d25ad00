//! OTLP over HTTP with protobuf. The exporter crate itself reads `OTEL_EXPORTER_OTLP_{HEADERS,TIMEOUT,COMPRESSION}`, also
//! per signal, and the metrics' temporality; it makes its blocking client on a thread of its own, so that this works
//! within a runtime, and the exporting threads of the SDK suppress telemetry about themselves.

use std::sync::Arc;

use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::TracerProviderBuilder;

use super::batch::{self, Batches, Processed};
use super::env::{Endpoint, Env, Signal};
use super::reporting::Reporting;
use crate::telemetry::TelemetryError;

pub(super) fn traces(
    env: &Env,
    endpoint: &Endpoint,
    spans: TracerProviderBuilder,
    processed: &Arc<Processed>,
) -> Result<TracerProviderBuilder, TelemetryError> {
    check(env, Signal::Traces, endpoint)?;
    let exporter = SpanExporter::builder().with_http().with_endpoint(&endpoint.url).build();
    let exporter = exporter.map_err(|error| failed(Signal::Traces, error))?;
    Ok(spans.with_span_processor(Batches::new(exporter, batch::queue_size(), processed)))
}

pub(super) fn metrics(
    env: &Env,
    endpoint: &Endpoint,
    meters: MeterProviderBuilder,
) -> Result<MeterProviderBuilder, TelemetryError> {
    check(env, Signal::Metrics, endpoint)?;
    let exporter = MetricExporter::builder().with_http().with_endpoint(&endpoint.url).build();
    let exporter = exporter.map_err(|error| failed(Signal::Metrics, error))?;
    Ok(meters.with_reader(PeriodicReader::builder(Reporting::new(exporter, Signal::Metrics)).build()))
}

/// Refuses what would build and then lose everything at the first export.
fn check(env: &Env, signal: Signal, endpoint: &Endpoint) -> Result<(), TelemetryError> {
    if let Some((variable, value)) = protocol(env, signal).filter(|(_, value)| *value != "http/protobuf") {
        let hint = "write `http/protobuf` and the endpoint that takes it, as a rule port 4318";
        return Err(TelemetryError::Unsupported { variable, value: value.to_owned(), hint });
    }
    if !endpoint.url.starts_with("http://") {
        let hint = "write `http://` and a host; for a receiver behind TLS put an OpenTelemetry Collector in between";
        return Err(TelemetryError::Unsupported { variable: endpoint.variable, value: endpoint.url.clone(), hint });
    }
    Ok(())
}

/// The protocol that a variable asks for, with the variable.
fn protocol(env: &Env, signal: Signal) -> Option<(&'static str, &str)> {
    let own = match signal {
        Signal::Traces => "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        Signal::Metrics => "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    };
    [own, "OTEL_EXPORTER_OTLP_PROTOCOL"].into_iter().find_map(|name| env.get(name).map(|value| (name, value)))
}

fn failed(signal: Signal, error: ExporterBuildError) -> TelemetryError {
    TelemetryError::Exporter { signal: signal.name(), source: error.into() }
}
