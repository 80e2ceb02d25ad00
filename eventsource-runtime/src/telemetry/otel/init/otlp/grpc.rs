//! OTLP over gRPC.

use std::time::Duration;

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use super::settings::Settings;
use super::{Made, failed, grpc_tls};
use crate::telemetry::TelemetryError;

/// After how long a connection is asked whether it still stands, and how long that may take to answer. A load balancer
/// may have dropped it without a word; every export would wait for its whole time-out, for many minutes.
const ASK: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

/// That it is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grpc;

#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the signatures are those of its twin")]
impl Grpc {
    pub(super) fn chosen_by(_variable: &'static str) -> Result<Self, TelemetryError> {
        Ok(Self)
    }

    pub(super) fn spans(self, settings: &Settings) -> Made<SpanExporter> {
        Ok(prepared(SpanExporter::builder().with_tonic(), settings)?.build())
    }

    pub(super) fn metrics(self, settings: &Settings) -> Made<MetricExporter> {
        let builder = MetricExporter::builder().with_temporality(settings.temporality);
        Ok(prepared(builder.with_tonic(), settings)?.build())
    }

    pub(super) fn logs(self, settings: &Settings) -> Made<LogExporter> {
        Ok(prepared(LogExporter::builder().with_tonic(), settings)?.build())
    }
}

fn prepared<B>(builder: B, settings: &Settings) -> Result<B, TelemetryError>
where
    B: WithExportConfig + WithTonicConfig,
{
    let headers = MetadataMap::from_headers(settings.headers.clone());
    let builder = match settings.compression {
        Some(compression) => builder.with_compression(compression),
        None => builder,
    };
    Ok(builder.with_timeout(settings.timeout).with_metadata(headers).with_channel(channel(settings)?))
}

/// A channel that connects when first needed, and reconnects whenever it has to.
fn channel(settings: &Settings) -> Result<Channel, TelemetryError> {
    let endpoint = Endpoint::from_shared(settings.url.clone()).map_err(|error| failed(settings.signal, error))?;
    let endpoint = endpoint.timeout(settings.timeout).connect_timeout(settings.timeout);
    let endpoint = endpoint.tcp_keepalive(Some(ASK)).http2_keep_alive_interval(ASK).keep_alive_timeout(ANSWER);
    Ok(grpc_tls::secured(endpoint, settings)?.connect_lazy())
}
