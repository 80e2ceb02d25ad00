//! Exporters as they should not be.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// What an exporter does with all that it gets, of whatever signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hostile {
    Refusing,
    Panicking,
    /// Blocks its thread, which is worse than a future that is never ready.
    Hanging,
}

impl Hostile {
    fn act(self) -> OTelSdkResult {
        match self {
            Self::Refusing => Err(OTelSdkError::InternalFailure("not today".to_owned())),
            Self::Panicking => panic!("an exporter's own"),
            Self::Hanging => {
                let (_keep, never) = mpsc::channel::<()>();
                let _ = never.recv_timeout(Duration::from_mins(1));
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hostile")
    }
}

impl SpanExporter for Hostile {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        std::future::ready(self.act())
    }
}

impl LogExporter for Hostile {
    fn export(&self, _: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        std::future::ready(self.act())
    }
}

impl PushMetricExporter for Hostile {
    fn export(&self, _: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        std::future::ready(self.act())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
