//! Where spans go.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor, TracerProviderBuilder,
};

use super::batch::{Admission, Batches};
use super::env::Signal;
use super::flush::Outlets;
use super::isolated::{Processor, Shared, isolated};

/// Where spans go.
pub(in crate::telemetry::otel) enum SpanSink {
    /// Nobody receives them.
    Nowhere,
    /// To one batch processor, whose admission this is, and nobody else sees them.
    Admission(Arc<Admission>),
    /// To somebody who always receives them.
    Open,
}

impl SpanSink {
    /// Whether nobody would receive a span that begins now. If anybody otherwise would, it counts as dropped.
    #[inline]
    pub(in crate::telemetry::otel) fn is_shut(&self) -> bool {
        match self {
            Self::Nowhere => true,
            Self::Admission(admission) => admission.turns_away(),
            Self::Open => false,
        }
    }
}

/// The processors of spans, before the set-up.
#[derive(Debug, Default)]
pub(super) struct Spans {
    provider: TracerProviderBuilder,
    processors: Vec<Box<dyn SpanProcessor>>,
    /// The admissions of the processors that export in batches.
    admissions: Vec<Arc<Admission>>,
}

impl Spans {
    pub(super) fn add(&mut self, processor: impl SpanProcessor + 'static) {
        self.processors.push(Box::new(processor));
    }

    pub(super) fn export(&mut self, batches: Batches<BatchSpanProcessor>) {
        self.admissions.push(Arc::clone(&batches.admission));
        self.add(batches);
    }

    /// Whether any are exported in batches, where they are counted.
    pub(super) fn are_exported(&self) -> bool {
        !self.admissions.is_empty()
    }

    pub(super) fn sink(&self) -> SpanSink {
        match (&self.admissions[..], self.processors.len()) {
            (_, 0) => SpanSink::Nowhere,
            ([admission], 1) => SpanSink::Admission(Arc::clone(admission)),
            _ => SpanSink::Open,
        }
    }

    pub(super) fn sample(&mut self, sampler: impl Into<Box<dyn ShouldSample>>) {
        self.provider = std::mem::take(&mut self.provider).with_sampler(sampler);
    }

    pub(super) fn build(self, resource: &Resource, outlets: &mut Outlets) -> SdkTracerProvider {
        // Not by the provider: what it has is shared, and can no longer be changed.
        let processors = self.processors.into_iter().map(|mut processor| {
            processor.set_resource(resource);
            Arc::from(processor)
        });
        let processors = isolated(processors);
        let tracers = self.provider.with_resource(resource.clone());
        let tracers = processors.iter().cloned().fold(tracers, TracerProviderBuilder::with_span_processor).build();
        let (provider, timeout) = (tracers.clone(), outlets.timeout);
        outlets.add_each(Signal::Traces, processors, move || provider.shutdown_with_timeout(timeout));
        tracers
    }
}

impl Processor for dyn SpanProcessor {
    fn flush(&self) -> OTelSdkResult {
        self.force_flush()
    }

    fn end(&self, timeout: Duration) -> OTelSdkResult {
        self.shutdown_with_timeout(timeout)
    }
}

impl SpanProcessor for Shared<dyn SpanProcessor> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.processor.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.end(timeout)
    }
}
