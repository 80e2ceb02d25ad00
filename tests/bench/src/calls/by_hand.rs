//! The same call without instrumentation, and with OpenTelemetry's API written out by hand.

use std::sync::OnceLock;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{
    FutureExt, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use uuid::Uuid;

use super::body;

#[inline(never)]
pub(super) fn bare(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

#[inline(never)]
pub(super) async fn bare_async(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

static BOXED: OnceLock<BoxedTracer> = OnceLock::new();
static SDK: OnceLock<SdkTracer> = OnceLock::new();

/// Keeps a tracer as an application would that cares: once, not asked for at each call.
pub(super) fn keep_tracers(provider: Option<SdkTracerProvider>) {
    if let Some(provider) = provider {
        let _ = SDK.set(provider.tracer("bench"));
        global::set_tracer_provider(provider);
    }
    let _ = BOXED.set(global::tracer("bench"));
}

/// Makes an unsampled span current.
pub(super) fn below_unsampled() -> ContextGuard {
    let unsampled = SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::default(), false, TraceState::NONE);
    Context::new().with_remote_span_context(unsampled).attach()
}

fn context<T>(tracer: &T, count: u64, id: &Uuid) -> Context
where
    T: Tracer<Span: Send + Sync + 'static>,
{
    let attributes = vec![
        KeyValue::new("channel", "email"),
        KeyValue::new("message.length", i64::try_from(count).unwrap_or(i64::MAX)),
        KeyValue::new("recipient.id", id.to_string()),
    ];
    let builder = SpanBuilder::from_name("send_email").with_kind(SpanKind::Internal).with_attributes(attributes);
    Context::current_with_span(tracer.build(builder))
}

fn boxed() -> &'static BoxedTracer {
    BOXED.get().expect("kept in the set-up")
}

fn sdk() -> &'static SdkTracer {
    SDK.get().expect("kept in the set-up")
}

#[inline(never)]
pub(super) fn by_boxed(count: u64, id: &Uuid) -> u64 {
    let _attached = context(boxed(), count, id).attach();
    body(count, id)
}

#[inline(never)]
pub(super) async fn by_boxed_async(count: u64, id: &Uuid) -> u64 {
    let context = context(boxed(), count, id);
    async move { body(count, id) }.with_context(context).await
}

#[inline(never)]
pub(super) fn by_sdk(count: u64, id: &Uuid) -> u64 {
    let _attached = context(sdk(), count, id).attach();
    body(count, id)
}

#[inline(never)]
pub(super) async fn by_sdk_async(count: u64, id: &Uuid) -> u64 {
    let context = context(sdk(), count, id);
    async move { body(count, id) }.with_context(context).await
}
