//! Exporters as they should not be.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// What an exporter does with all that it gets, of whatever signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Says that it failed.
    Refuse,
    /// Panics.
    Panic,
    /// Blocks its thread, which is worse than a future that is never ready.
    Hang,
}

/// An exporter of every signal that counts how often each came to it.
#[derive(Clone)]
pub struct Hostile {
    deed: Deed,
    calls: Arc<[AtomicUsize; 3]>,
}

/// Their places among the calls.
const SPANS: usize = 0;
const METRICS: usize = 1;
const LOGS: usize = 2;

impl Hostile {
    /// One that has not been asked yet.
    #[must_use]
    pub fn new(deed: Deed) -> Self {
        Self { deed, calls: Arc::default() }
    }

    /// How often it was asked to export spans, metrics and log records.
    #[must_use]
    pub fn calls(&self) -> [usize; 3] {
        std::array::from_fn(|signal| self.calls[signal].load(Ordering::SeqCst))
    }

    /// Whether it never answers.
    #[must_use]
    pub fn hangs(&self) -> bool {
        matches!(self.deed, Deed::Hang)
    }

    fn act(&self, signal: usize) -> OTelSdkResult {
        self.calls[signal].fetch_add(1, Ordering::SeqCst);
        match self.deed {
            Deed::Refuse => Err(OTelSdkError::InternalFailure("not today".to_owned())),
            Deed::Panic => panic!("an exporter's own"),
            Deed::Hang => {
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
        std::future::ready(self.act(SPANS))
    }
}

impl LogExporter for Hostile {
    fn export(&self, _: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        std::future::ready(self.act(LOGS))
    }
}

impl PushMetricExporter for Hostile {
    fn export(&self, _: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        std::future::ready(self.act(METRICS))
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
