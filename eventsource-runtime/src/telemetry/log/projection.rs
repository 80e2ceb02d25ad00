//! What projections report to operators.

use std::error::Error;
use std::time::Duration;

use super::seconds;
use crate::domain::StoredEvent;
use crate::store::{Position, StreamId, status_code};
use crate::telemetry::{Chain, error_text, guarded};

/// Why a projection failed: the name of its error, the event at fault, if it is one, the database's code, if that is
/// behind it, and the text, if that is recorded. What it does beside its steps, such as keeping its lease, has no span
/// that tells.
pub(crate) struct Reason<'a> {
    error_type: &'a str,
    event: Option<&'a StoredEvent>,
    code: Option<String>,
    text: Option<String>,
}

impl<'a> Reason<'a> {
    pub(crate) fn new(error_type: &'a str, error: &(dyn Error + 'static), event: Option<&'a StoredEvent>) -> Self {
        let code = guarded(|| status_code(error)).flatten();
        Self { error_type, event, code, text: error_text(&Chain(error)) }
    }
}

/// A projection's batch failed, or a call beside it, and is retried.
pub(crate) fn projection_retried(projection: &str, retry: u32, reason: &Reason<'_>) {
    event!("eventsource.projection.retried", LOG_PROJECTION, WARN, "retried", {
        eventsource.projection.name = projection, eventsource.position = reason.event.map(|event| event.position.get()),
        eventsource.stream.id = reason.event.map(|event| event.stream.as_str()),
        eventsource.event.r#type = reason.event.map(|event| &*event.event_type), eventsource.retry.count = retry,
        error.r#type = reason.error_type,
        db.response.status_code = reason.code.as_deref(), exception.message = reason.text.as_deref()
    });
}

/// A projection gave up; its checkpoint stays where it is.
pub(crate) fn projection_stopped(projection: &str, checkpoint: Position, reason: &Reason<'_>) {
    event!("eventsource.projection.stopped", LOG_PROJECTION, ERROR, "stopped", {
        eventsource.projection.name = projection, eventsource.projection.checkpoint = checkpoint.get(),
        eventsource.position = reason.event.map(|event| event.position.get()),
        eventsource.stream.id = reason.event.map(|event| event.stream.as_str()),
        eventsource.event.r#type = reason.event.map(|event| &*event.event_type), error.r#type = reason.error_type,
        db.response.status_code = reason.code.as_deref(), exception.message = reason.text.as_deref()
    });
}

/// A projection's batch has not ended yet: a step of it takes long, hangs, or waits for the transaction of this server
/// process.
pub(crate) fn projection_slow(
    projection: &str,
    (from, to): (Position, Position),
    duration: Duration,
    blocking: Option<i64>,
) {
    event!("eventsource.projection.slow", LOG_PROJECTION, WARN, "a batch has not ended", {
        eventsource.projection.name = projection, eventsource.from_position = from.get(),
        eventsource.to_position = to.get(), eventsource.duration = seconds(duration),
        eventsource.blocking.pid = blocking
    });
}

/// A projection skipped an event that it could not apply.
pub(crate) fn projection_skipped(projection: &str, event: &StoredEvent, error_type: &str) {
    event!("eventsource.projection.skipped", LOG_PROJECTION, WARN, "skipped", {
        eventsource.projection.name = projection, eventsource.position = event.position.get(),
        eventsource.stream.id = event.stream.as_str(), eventsource.event.r#type = &*event.event_type,
        error.r#type = error_type
    });
}

/// A projection set aside an event that it could not apply, and with it those that follow in its stream.
pub(crate) fn projection_dead_lettered(projection: &str, event: &StoredEvent, error_type: &str) {
    event!("eventsource.projection.dead_lettered", LOG_PROJECTION, ERROR, "dead-lettered", {
        eventsource.projection.name = projection, eventsource.position = event.position.get(),
        eventsource.stream.id = event.stream.as_str(), eventsource.event.r#type = &*event.event_type,
        error.r#type = error_type
    });
}

/// A process's command was refused, and the manager does nothing about it: the process may stand still.
pub(crate) fn refusal_ignored((manager, process): (&str, &StreamId), event: Position, command: &str, error_type: &str) {
    event!(
        "eventsource.process_manager.refusal_ignored", LOG_PROJECTION, WARN,
        "refused, and the manager has no method for it", {
            eventsource.projection.name = manager, eventsource.stream.id = process.as_str(),
            eventsource.position = event.get(), cqrs.command.r#type = command, error.r#type = error_type
        }
    );
}

/// A part of a projection does not start, because another runner has its lease.
pub(crate) fn projection_waits(projection: &str, partition: u32, owner: &str) {
    event!("eventsource.projection.waits", LOG_PROJECTION, INFO, "waits for the lease of another", {
        eventsource.projection.name = projection, eventsource.projection.partition = partition,
        eventsource.lease.owner = owner
    });
}

/// A part of a projection runs here from now on, after it had waited for the lease of another runner.
pub(crate) fn projection_takes_over(projection: &str, partition: u32, owner: &str) {
    event!("eventsource.projection.takes_over", LOG_PROJECTION, INFO, "takes over from another", {
        eventsource.projection.name = projection, eventsource.projection.partition = partition,
        eventsource.lease.owner = owner
    });
}

/// The same, and the lease was not given up: it had not been renewed in time.
pub(crate) fn projection_lease_expired(projection: &str, partition: u32, owner: &str) {
    event!("eventsource.projection.lease_expired", LOG_PROJECTION, WARN, "takes over an expired lease", {
        eventsource.projection.name = projection, eventsource.projection.partition = partition,
        eventsource.lease.owner = owner
    });
}

/// A rebuild begins, of the events up to a position.
pub(crate) fn projection_rebuild_begun(projection: &str, mode: &str, past: Position) {
    event!("eventsource.projection.rebuild_begun", LOG_PROJECTION, INFO, "rebuild begins", {
        eventsource.projection.name = projection, eventsource.rebuild.mode = mode, eventsource.to_position = past.get()
    });
}

/// Readers see the new read model, with all events that there were when its rebuild began.
pub(crate) fn projection_rebuilt(projection: &str, mode: &str, events: u64, duration: Duration) {
    event!("eventsource.projection.rebuilt", LOG_PROJECTION, INFO, "rebuilt", {
        eventsource.projection.name = projection, eventsource.rebuild.mode = mode, eventsource.event.count = events,
        eventsource.duration = seconds(duration)
    });
}

/// A rebuild does not begin, because another runner has a lease. It does when that one ends, however much later.
pub(crate) fn projection_rebuild_waits(projection: &str, partition: u32, owner: &str) {
    event!("eventsource.projection.rebuild_waits", LOG_PROJECTION, WARN, "rebuild waits for the lease of another", {
        eventsource.projection.name = projection, eventsource.projection.partition = partition,
        eventsource.lease.owner = owner
    });
}

/// A part of a projection is run by another runner now, since its lease had expired.
pub(crate) fn projection_lease_lost(projection: &str, partition: u32) {
    event!("eventsource.projection.lease_lost", LOG_PROJECTION, WARN, "lease lost to another", {
        eventsource.projection.name = projection, eventsource.projection.partition = partition
    });
}

/// What a process manager had scheduled cannot be recorded, and is left to the next start; the type is that of the
/// scheduled event, if it can be read.
pub(crate) fn timeout_left(
    manager: &str,
    asked: &StoredEvent,
    event_type: Option<&str>,
    error_type: &str,
    text: Option<&str>,
) {
    event!("eventsource.process_manager.timeout_left", LOG_PROJECTION, ERROR, "timeout left until the next start", {
        eventsource.projection.name = manager, eventsource.position = asked.position.get(),
        eventsource.stream.id = asked.stream.as_str(), eventsource.event.r#type = event_type,
        error.r#type = error_type, exception.message = text
    });
}
