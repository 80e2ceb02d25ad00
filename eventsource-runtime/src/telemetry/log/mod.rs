//! Log events for operators: one function a fact, a stable target a component, and the ids of the trace and span in
//! which the fact happened. The targets are listed in `registry.yaml`.

use std::time::Duration;

use super::{TraceContext, names};

/// Emits an event that bears the ids of the current span; both are empty without one. Nothing is computed where nobody
/// listens. Where log records are exported it is one of them too: that has the ids by itself.
macro_rules! event {
    ($name:literal, $target:expr, $level:ident, { $($fields:tt)* }, $message:literal) => {
        if tracing::enabled!(target: $target, tracing::Level::$level) {
            let (trace_id, span_id) = ids();
            tracing::event!(
                name: $name, target: $target, tracing::Level::$level, trace_id, span_id, $($fields)*, $message
            );
        }
        if let Some(exported) = crate::telemetry::backend::exported_logs() {
            tracing::dispatcher::with_default(&exported, || {
                tracing::event!(name: $name, target: $target, tracing::Level::$level, $($fields)*, $message);
            });
        }
    };
}

#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "rabbitmq")]
pub(crate) mod rabbitmq;
#[cfg(feature = "otel")]
mod set_up;
#[cfg(feature = "otel")]
mod slow;
#[cfg(feature = "otel")]
mod span_event;

#[cfg(feature = "otel")]
pub(super) use export::{dropped, export_fails, export_works};
#[cfg(feature = "otel")]
pub(super) use set_up::setting_ignored;
#[cfg(feature = "otel")]
pub(super) use slow::{command_slow, query_slow};
#[cfg(feature = "otel")]
pub(super) use span_event::span_event;

/// The ids of the current span as a log event bears them; empty without a span.
fn ids() -> (String, String) {
    match TraceContext::current() {
        Some(context) => (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id())),
        None => Default::default(),
    }
}

/// A traced function, or a component's operation, failed in the current span.
pub(crate) fn failure(error_type: &str) {
    event!("eventsource.span.failed", names::LOG_SPAN, ERROR, { error.r#type = error_type }, "failed");
}

/// A command was rejected by its handler: the caller's affair, not the operator's.
pub(crate) fn command_rejected(command: &str, error_type: &str) {
    event!("eventsource.command.rejected", names::LOG_COMMAND, INFO, { command, error.r#type = error_type }, "rejected");
}

/// A command met a conflict, because somebody else wrote to its stream meanwhile, and is decided again.
pub(crate) fn command_retried(command: &str, retry: u32) {
    event!("eventsource.command.retried", names::LOG_COMMAND, INFO, { command, retry }, "retried after a conflict");
}

/// A call to a database took long.
pub(crate) fn store_slow(operation: &str, duration: Duration) {
    let duration = duration.as_secs_f64();
    event!("eventsource.store.slow", names::LOG_STORE, WARN, { operation, duration }, "slow");
}

/// A snapshot could not be written in the background. Nothing else failed: loads go on to replay the events.
pub(crate) fn snapshot_lost(aggregate: &str, error_type: &str) {
    event!("eventsource.snapshot.lost", names::LOG_SNAPSHOT, WARN, { aggregate, error.r#type = error_type }, "not written");
}

/// A projection's batch failed and is tried again.
pub(crate) fn projection_retried(projection: &str, retry: u32, error_type: &str) {
    event!("eventsource.projection.retried", names::LOG_PROJECTION, WARN, { projection, retry, error.r#type = error_type }, "retried");
}

/// A projection gave up; its checkpoint stays where it is.
pub(crate) fn projection_stopped(projection: &str, checkpoint: u64, error_type: &str) {
    event!("eventsource.projection.stopped", names::LOG_PROJECTION, ERROR, { projection, checkpoint, error.r#type = error_type }, "stopped");
}

/// A projection passed over an event that it could not apply.
pub(crate) fn projection_skipped(projection: &str, position: u64, error_type: &str) {
    event!("eventsource.projection.skipped", names::LOG_PROJECTION, WARN, { projection, position, error.r#type = error_type }, "skipped");
}

/// A projection set aside an event that it could not apply, and with it those that follow in its stream.
pub(crate) fn projection_dead_lettered(projection: &str, position: u64, error_type: &str) {
    event!("eventsource.projection.dead_lettered", names::LOG_PROJECTION, WARN, { projection, position, error.r#type = error_type }, "dead-lettered");
}

/// A part of a projection does not start, because another runner has its lease.
pub(crate) fn projection_waits(projection: &str, partition: u32, owner: &str) {
    event!("eventsource.projection.waits", names::LOG_PROJECTION, INFO, { projection, partition, owner }, "waits for the lease of another");
}

/// A part of a projection is run by another runner now, since its lease had expired.
pub(crate) fn projection_lease_lost(projection: &str, partition: u32) {
    event!("eventsource.projection.lease_lost", names::LOG_PROJECTION, WARN, { projection, partition }, "lease lost to another");
}

/// A message could not be handled, and is tried again.
pub(crate) fn message_retried(group: &str, retry: u32, error_type: &str) {
    event!("eventsource.bus.retried", names::LOG_BUS, WARN, { group, retry, error.r#type = error_type }, "retried");
}

/// A message failed for good and is kept among the dead letters, or can never be.
pub(crate) fn dead_lettered(group: &str, message: Option<uuid::Uuid>, error_type: &str) {
    let message = message.map(tracing::field::display);
    event!("eventsource.bus.dead_lettered", names::LOG_BUS, ERROR, { group, message_id = message, error.r#type = error_type }, "dead-lettered");
}

/// The bus could not be told what became of messages, and delivers them again.
pub(crate) fn messages_unsettled(group: &str, messages: u64, error_type: &str) {
    event!("eventsource.bus.unsettled", names::LOG_BUS, WARN, { group, messages, error.r#type = error_type }, "not settled");
}

/// A subscription ended although nobody stopped it.
pub(crate) fn subscription_stopped(group: &str, error_type: &str) {
    event!("eventsource.bus.stopped", names::LOG_BUS, ERROR, { group, error.r#type = error_type }, "subscription stopped");
}
