//! Samplers and a processor that do as little as they can, for ours and for the peers.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};

/// A processor that drops every span.
#[derive(Debug)]
pub(super) struct Nowhere;

impl SpanProcessor for Nowhere {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A sampler that looks at the attributes, and then always says the same.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) refuse: &'static str,
}

impl ShouldSample for Reading {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let named = |value: &Value| matches!(value, Value::String(text) if text.as_str() == self.refuse);
        let refused = attributes.iter().any(|attribute| named(&attribute.value));
        SamplingResult {
            decision: if refused { SamplingDecision::Drop } else { SamplingDecision::RecordAndSample },
            attributes: Vec::new(),
            trace_state: parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default(),
        }
    }
}

/// Refuses every span of the benchmark: the literal is on each.
pub(super) const REFUSING: Reading = Reading { refuse: "email" };
/// Takes every span of the benchmark.
pub(super) const TAKING: Reading = Reading { refuse: "fax" };

/// The SDK's provider with a processor that drops every span.
pub(super) fn provider(sampler: impl ShouldSample + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(Nowhere).build()
}

/// What a parent-based sampler says below an unsampled span: no.
pub(super) fn parent_based() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}
