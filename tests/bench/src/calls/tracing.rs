//! The same call with `tracing::instrument`.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::Sampler;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

use super::body;
use super::providers::provider;

#[inline(never)]
#[tracing::instrument(skip_all, fields(channel = "email", message.length = count, recipient.id = %id))]
pub(super) fn instrumented(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

#[inline(never)]
#[tracing::instrument(skip_all, fields(channel = "email", message.length = count, recipient.id = %id))]
pub(super) async fn instrumented_async(count: u64, id: &Uuid) -> u64 {
    body(count, id)
}

/// The bridge to OpenTelemetry as its documentation sets it up.
pub(super) fn bridge(sampler: Sampler) {
    let layer = tracing_opentelemetry::layer().with_tracer(provider(sampler).tracer("bench"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("one set-up a process");
}
