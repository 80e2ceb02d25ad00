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
