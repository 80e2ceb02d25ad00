//! Tracing into a batch processor whose exporter counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// Room for every span of a sample.
const QUEUE: usize = 1 << 17;

/// How many spans ended, and how many were exported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    ended: Arc<AtomicU64>,
    exported: Arc<AtomicU64>,
}

impl Counts {
    /// The spans so far, all of them exported.
    pub(crate) fn complete(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        assert_eq!(ended, self.exported.load(Ordering::Relaxed), "no span was dropped");
        ended
    }
}

/// Counts what ends, on its way to the batch: a processor beside it would get a copy of each span.
#[derive(Debug)]
struct Ended(Counts, BatchSpanProcessor);

impl SpanProcessor for Ended {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.1.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.1.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.1.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.1.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.1.set_resource(resource);
    }
}

/// Counts what arrives.
#[derive(Debug)]
struct Exported(Counts);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.exported.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Installs the pipeline for the process; spans are off until they are switched on.
pub(crate) fn install() -> (Telemetry, Counts) {
    eventsource_runtime::telemetry::set_enabled(false);
    let counts = Counts::default();
    let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    let batch = BatchSpanProcessor::builder(Exported(counts.clone())).with_batch_config(config).build();
    let telemetry = Telemetry::from_env("bench").span_processor(Ended(counts.clone(), batch));
    (telemetry.install().expect("nothing to connect to"), counts)
}
