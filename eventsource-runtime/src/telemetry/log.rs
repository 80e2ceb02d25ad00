//! Log events for operators: one function a fact, a stable target a component, and the ids of the trace and span in
//! which the fact happened. The targets are listed in `registry.yaml`.

use std::fmt::Display;

use super::{TraceContext, names};

/// Emits an event that bears the ids of the current span; both are empty without one. Nothing is computed where nobody
/// listens.
macro_rules! event {
    ($target:expr, $level:ident, { $($fields:tt)* }, $message:literal) => {
        if tracing::enabled!(target: $target, tracing::Level::$level) {
            let (trace_id, span_id) = ids();
            tracing::event!(target: $target, tracing::Level::$level, trace_id, span_id, $($fields)*, $message);
        }
    };
}

/// The ids of the current span as a log event bears them; empty without a span.
fn ids() -> (String, String) {
    match TraceContext::current() {
        Some(context) => (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id())),
        None => Default::default(),
    }
}

/// A traced function, or a component's operation, failed in the current span.
pub(crate) fn failure(error_type: &str) {
    event!(names::LOG_SPAN, ERROR, { error.r#type = error_type }, "failed");
}

/// A command was rejected by its handler: the caller's affair, not the operator's.
pub(crate) fn command_rejected(command: &str, error_type: &str) {
    event!(names::LOG_COMMAND, INFO, { cqrs.command.r#type = command, error.r#type = error_type }, "rejected");
}

/// A command runs again because somebody else wrote to its stream meanwhile.
pub(crate) fn command_retried(command: &str, attempt: u32) {
    event!(names::LOG_COMMAND, DEBUG, { cqrs.command.r#type = command, eventsource.retry.count = attempt }, "conflict, trying again");
}

/// A projection failed and will try again.
pub(crate) fn projection_retried(projection: &str, position: u64, attempt: u32, error_type: &str) {
    event!(
        names::LOG_PROJECTION,
        WARN,
        {
            eventsource.projection.name = projection,
            eventsource.position = position,
            eventsource.retry.count = attempt,
            error.r#type = error_type
        },
        "failed, trying again"
    );
}

/// A projection failed for good; its checkpoint stays before the event.
pub(crate) fn projection_stopped(projection: &str, position: u64, error_type: &str) {
    event!(
        names::LOG_PROJECTION,
        ERROR,
        {
            eventsource.projection.name = projection,
            eventsource.position = position,
            error.r#type = error_type
        },
        "stopped"
    );
}

/// A variable of the environment has a value that means nothing here.
pub(crate) fn setting_ignored(variable: &str, value: &str, hint: &str) {
    event!(names::LOG_TELEMETRY, WARN, { variable, value, hint }, "setting ignored");
}

/// An exporter began to fail: spans or metrics are lost until it works again.
pub(crate) fn export_fails(signal: &str, error: &dyn Display) {
    event!(names::LOG_TELEMETRY, WARN, { signal, error = %error }, "export fails");
}

/// An exporter that failed works again.
pub(crate) fn export_works(signal: &str) {
    event!(names::LOG_TELEMETRY, INFO, { signal }, "export works again");
}
