//! Processors and samplers of users, which are called on the threads that make and end spans: a panic in one of them is
//! not that of the program's code.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor};

use crate::telemetry::TelemetryError;
use crate::telemetry::guard::contained;

/// One that may panic: what it was told of is lost to it, or not sampled.
pub(super) struct Contained<T: ?Sized>(pub(super) T);

impl<P: SpanProcessor> SpanProcessor for Contained<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        contained(|| self.0.on_start(span, context));
    }

    fn on_end(&self, span: SpanData) {
        contained(|| self.0.on_end(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        answered(|| self.0.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        answered(|| self.0.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Its answer: a panic is a failure like others, after which it is still shut down.
fn answered(ask: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
    contained(ask).unwrap_or_else(|| Err(OTelSdkError::InternalFailure("the processor panicked".to_owned())))
}

/// Starts a batch processor of OpenTelemetry's, which panics if it gets no thread.
pub(super) fn started<P>(start: impl FnOnce() -> P) -> Result<P, TelemetryError> {
    let source = || io::Error::other("a batch processor of OpenTelemetry's did not start");
    contained(start).ok_or_else(|| TelemetryError::Thread { source: source() })
}

impl<S: ShouldSample + 'static> ShouldSample for Contained<Arc<S>> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        contained(|| self.0.should_sample(parent, trace, name, kind, attributes, links)).unwrap_or_else(|| {
            let trace_state = parent.map(|parent| parent.span().span_context().trace_state().clone());
            let (decision, trace_state) = (SamplingDecision::Drop, trace_state.unwrap_or_default());
            SamplingResult { decision, attributes: Vec::new(), trace_state }
        })
    }
}

impl<S: ?Sized> Clone for Contained<Arc<S>> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Contained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
