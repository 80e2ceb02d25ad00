//! Log events for operators: stable targets, and the ids of the trace and span that they belong to.

use super::TraceContext;

/// The ids of the current span as a log event bears them; empty without a span.
fn ids() -> (String, String) {
    match TraceContext::current() {
        Some(context) => (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id())),
        None => Default::default(),
    }
}

/// A traced function, or a component's operation, failed in the current span.
pub(crate) fn failure(error_type: &str) {
    if tracing::enabled!(target: "eventsource::span", tracing::Level::ERROR) {
        let (trace_id, span_id) = ids();
        tracing::error!(target: "eventsource::span", trace_id, span_id, error.r#type = error_type, "failed");
    }
}

/// The domain refused a command.
pub(crate) fn command_rejected(command: &str, error_type: &str) {
    if tracing::enabled!(target: "eventsource::command", tracing::Level::INFO) {
        let (trace_id, span_id) = ids();
        tracing::info!(target: "eventsource::command", trace_id, span_id, command, error.r#type = error_type, "rejected");
    }
}

/// A command met a conflict and is decided again.
pub(crate) fn command_retried(command: &str, retry: u32) {
    if tracing::enabled!(target: "eventsource::command", tracing::Level::INFO) {
        let (trace_id, span_id) = ids();
        tracing::info!(target: "eventsource::command", trace_id, span_id, command, retry, "retried after a conflict");
    }
}

/// A projection's batch failed and is tried again.
pub(crate) fn projection_retried(projection: &str, retry: u32, error_type: &str) {
    if tracing::enabled!(target: "eventsource::projection", tracing::Level::WARN) {
        let (trace_id, span_id) = ids();
        tracing::warn!(
            target: "eventsource::projection",
            trace_id, span_id, projection, retry, error.r#type = error_type, "retried"
        );
    }
}

/// A projection gave up.
pub(crate) fn projection_stopped(projection: &str, checkpoint: u64, error_type: &str) {
    if tracing::enabled!(target: "eventsource::projection", tracing::Level::ERROR) {
        let (trace_id, span_id) = ids();
        tracing::error!(
            target: "eventsource::projection",
            trace_id, span_id, projection, checkpoint, error.r#type = error_type, "stopped"
        );
    }
}
