//! Log events for operators: one function per fact, a stable target per component, and the ids of the trace and span in
//! which the fact happened. The targets are listed in `registry.yaml`.

use std::time::Duration;

use uuid::Uuid;

use super::TraceContext;
use crate::domain::DecodeError;
use crate::store::Position;

/// Emits an event: its name, target, level, message and fields. It has the ids of the current span; both are empty
/// without one. Nothing is computed if nobody listens. If log records are exported, the event becomes one too: that has
/// the ids by itself.
///
/// A target is part of the place that logs: a component of several kinds has one for each, and the first stands for
/// others.
macro_rules! event {
    ($name:literal, $target:ident in BUSES, $($rest:tt)*) => {
        event!($name, $target in [LOG_BUS, LOG_IN_PROCESS, LOG_KAFKA, LOG_RABBITMQ], $($rest)*);
    };
    ($name:literal, $target:ident in [$first:ident $(, $other:ident)*], $level:ident, $message:literal, $fields:tt) => {
        match $target {
            $(crate::telemetry::names::$other => { event!($name, $other, $level, $message, $fields); })*
            _ => { event!($name, $first, $level, $message, $fields); }
        }
    };
    ($name:literal, $target:ident, $level:ident, $message:literal, $fields:tt) => {
        event!($name, $target, $level, $message, $fields and {});
    };
    // The latter are not for the log record, which gets them by other means.
    (
        $name:literal, $target:ident, $level:ident, $message:literal, { $($fields:tt)* } and { $($logged:tt)* }
    ) => {
        // A listener's panic is not one of what it listens to, which may be a thread that all others need.
        crate::telemetry::guard::contained(|| {
            if tracing::enabled!(target: crate::telemetry::names::$target, tracing::Level::$level) {
                let (trace_id, span_id) = crate::telemetry::log::ids();
                tracing::event!(
                    name: $name, target: crate::telemetry::names::$target, tracing::Level::$level, trace_id, span_id,
                    $($logged)* $($fields)*, $message
                );
            }
        });
        if let Some(exported) = crate::telemetry::backend::exported_logs() {
            tracing::dispatcher::with_default(&exported, || {
                tracing::event!(
                    name: $name, target: crate::telemetry::names::$target, tracing::Level::$level,
                    $($fields)*, $message
                );
            });
        }
    };
}

mod bus;
mod command;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod projection;
#[cfg(feature = "rabbitmq")]
pub(crate) mod rabbitmq;
#[cfg(feature = "otel")]
mod slow;
#[cfg(feature = "otel")]
mod span_event;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

pub(crate) use bus::{
    Group, dead_letter_waits, dead_lettered, message_retried, messages_unsettled, subscription_stopped,
};
pub(crate) use command::{command_rejected, command_retried, snapshot_lost};
#[cfg(feature = "otel")]
pub(super) use export::{export_works, lost, setting_ignored};
pub(crate) use projection::{
    Reason, projection_dead_lettered, projection_lease_expired, projection_lease_lost, projection_rebuild_begun,
    projection_rebuild_waits, projection_rebuilt, projection_retried, projection_skipped, projection_slow,
    projection_stopped, projection_takes_over, projection_waits, refusal_ignored, timeout_left,
};
#[cfg(feature = "otel")]
pub(super) use slow::{command_slow, query_slow, slowness_is_told};
#[cfg(feature = "otel")]
pub(super) use span_event::{Named, span_event};

/// The ids of the current span for a log event; empty without a span.
fn ids() -> (String, String) {
    match TraceContext::current() {
        Some(context) => (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id())),
        None => Default::default(),
    }
}

/// A duration in seconds, to the microsecond, as somebody reads it.
fn seconds(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "it is exact for three centuries")]
    let micros = duration.as_micros() as f64;
    micros / 1e6
}

/// What failed.
#[derive(Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(super) target: &'static str,
    pub(super) span: Option<&'a str>,
    pub(super) position: Option<u64>,
    pub(super) code: Option<&'a str>,
    pub(super) aggregate: Option<&'a str>,
    pub(super) command: Option<Uuid>,
    /// What cannot be read, if that is behind it.
    pub(super) unread: Option<&'a DecodeError>,
}

impl<'a> Failed<'a> {
    /// An operation of the component with that target, by the name of its span, which is known where none is made.
    pub(crate) fn new(target: &'static str, span: &'a str) -> Self {
        Self { target, span: Some(span), position: None, code: None, aggregate: None, command: None, unread: None }
    }

    /// With the position of the event at fault, if it is one.
    pub(crate) fn at(self, event: Option<Position>) -> Self {
        Self { position: event.map(Position::get), ..self }
    }

    /// With the id of the aggregate that a command was for, and the command's, if it came with one.
    pub(crate) fn about(self, aggregate: &'a str, command: Option<Uuid>) -> Self {
        Self { aggregate: Some(aggregate), command, ..self }
    }
}

/// The name of the event of [`failure`], which has to be written out there.
#[cfg(feature = "otel")]
pub(super) const SPAN_FAILED: &str = "eventsource.span.failed";

/// A traced function, or an operation of a component, failed in the current span; with its error's text, if that is
/// recorded.
pub(crate) fn failure(failed: Failed<'_>, error_type: &str, text: Option<&str>) {
    let Failed { target, span, position, code, aggregate, command, unread } = failed;
    event!("eventsource.span.failed", target in [
        LOG_SPAN, LOG_COMMAND, LOG_QUERY, LOG_PROJECTION, LOG_STORE, LOG_MEMORY, LOG_SQLITE, LOG_POSTGRES, LOG_BUS,
        LOG_IN_PROCESS, LOG_KAFKA, LOG_RABBITMQ
    ], ERROR, "failed", {
        eventsource.span.name = span, eventsource.position = position, eventsource.aggregate.id = aggregate,
        eventsource.command.id = command.map(tracing::field::display),
        eventsource.stream.id = unread.map(|event| event.stream.as_str()),
        eventsource.version = unread.map(|event| event.version.get()),
        eventsource.event.r#type = unread.map(|event| event.event_type.as_str()),
        eventsource.decode.fault = unread.map(|event| event.fault.name()), error.r#type = error_type,
        db.response.status_code = code, exception.message = text
    });
}

/// An append of the component with that target found another one before it.
pub(crate) fn conflict(target: &'static str, error_type: &str, text: Option<&str>) {
    event!("eventsource.append.conflict", target in [
        LOG_COMMAND, LOG_STORE, LOG_MEMORY, LOG_SQLITE, LOG_POSTGRES
    ], INFO, "conflict", { error.r#type = error_type, exception.message = text });
}

/// A call to a database with that target was slow.
pub(crate) fn store_slow(target: &'static str, operation: &str, duration: Duration) {
    event!("eventsource.store.slow", target in [LOG_STORE, LOG_SQLITE, LOG_POSTGRES], WARN, "slow", {
        db.operation.name = operation, eventsource.duration = seconds(duration)
    });
}
