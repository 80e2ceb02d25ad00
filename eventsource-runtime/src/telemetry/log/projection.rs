//! What projections report to operators.

use std::error::Error;
use std::time::Duration;

use super::ids;
use crate::domain::StoredEvent;
use crate::store::{Position, StreamId, status_code};
use crate::telemetry::{Chain, error_text, guarded, names};

/// Why a projection failed: the name of its error, the database's code, if that is behind it, and the text, if that is
/// recorded. What it does beside its steps, such as keeping its lease, has no span that tells.
pub(crate) struct Reason<'a> {
    error_type: &'a str,
    code: Option<String>,
    text: Option<String>,
}

impl<'a> Reason<'a> {
    pub(crate) fn new(error_type: &'a str, error: &(dyn Error + 'static)) -> Self {
        let code = guarded(|| status_code(error)).flatten();
        Self { error_type, code, text: error_text(&Chain(error)) }
    }
}

/// A projection's batch failed, or a call beside it, and is retried.
pub(crate) fn projection_retried(projection: &str, event: Option<Position>, retry: u32, reason: &Reason<'_>) {
    let position = event.map(Position::get);
    let Reason { error_type, code, text } = reason;
    event!(
        "eventsource.projection.retried",
        names::LOG_PROJECTION,
        WARN,
        {
            eventsource.projection.name = projection,
            eventsource.position = position,
            eventsource.retry.count = retry,
            error.r#type = error_type,
            db.response.status_code = code.as_deref(),
            exception.message = text.as_deref()
        },
        "retried"
    );
}

/// A projection gave up; its checkpoint stays where it is.
pub(crate) fn projection_stopped(projection: &str, checkpoint: Position, event: Option<Position>, reason: &Reason<'_>) {
    let (checkpoint, position) = (checkpoint.get(), event.map(Position::get));
    let Reason { error_type, code, text } = reason;
    event!(
        "eventsource.projection.stopped",
        names::LOG_PROJECTION,
        ERROR,
        {
            eventsource.projection.name = projection,
            eventsource.projection.checkpoint = checkpoint,
            eventsource.position = position,
            error.r#type = error_type,
            db.response.status_code = code.as_deref(),
            exception.message = text.as_deref()
        },
        "stopped"
    );
}

/// A projection's batch has not ended yet: a step of it takes long, or hangs.
pub(crate) fn projection_slow(projection: &str, from: Position, to: Position, duration: Duration) {
    let (from, to, duration) = (from.get(), to.get(), duration.as_secs_f64());
    event!(
        "eventsource.projection.slow",
        names::LOG_PROJECTION,
        WARN,
        {
            eventsource.projection.name = projection,
            eventsource.from_position = from,
            eventsource.to_position = to,
            eventsource.duration = duration
        },
        "a batch has not ended"
    );
}

/// A projection skipped an event that it could not apply.
pub(crate) fn projection_skipped(projection: &str, position: u64, error_type: &str) {
    event!(
        "eventsource.projection.skipped",
        names::LOG_PROJECTION,
        WARN,
        { eventsource.projection.name = projection, eventsource.position = position, error.r#type = error_type },
        "skipped"
    );
}

/// A projection set aside an event that it could not apply, and with it those that follow in its stream.
pub(crate) fn projection_dead_lettered(projection: &str, position: u64, error_type: &str) {
    event!(
        "eventsource.projection.dead_lettered",
        names::LOG_PROJECTION,
        WARN,
        { eventsource.projection.name = projection, eventsource.position = position, error.r#type = error_type },
        "dead-lettered"
    );
}

/// A process's command was refused, and the manager does nothing about it: the process may stand still.
pub(crate) fn refusal_ignored((manager, process): (&str, &StreamId), event: Position, command: &str, error_type: &str) {
    let (process, position) = (process.as_str(), event.get());
    event!(
        "eventsource.process_manager.refusal_ignored",
        names::LOG_PROJECTION,
        WARN,
        {
            eventsource.projection.name = manager,
            eventsource.stream.id = process,
            eventsource.position = position,
            cqrs.command.r#type = command,
            error.r#type = error_type
        },
        "refused, and the manager has no method for it"
    );
}

/// A part of a projection does not start, because another runner has its lease.
pub(crate) fn projection_waits(projection: &str, partition: u32, owner: &str) {
    event!(
        "eventsource.projection.waits",
        names::LOG_PROJECTION,
        INFO,
        {
            eventsource.projection.name = projection,
            eventsource.projection.partition = partition,
            eventsource.lease.owner = owner
        },
        "waits for the lease of another"
    );
}

/// A part of a projection runs here from now on, after it had waited for the lease of another runner.
pub(crate) fn projection_takes_over(projection: &str, partition: u32, owner: &str) {
    event!(
        "eventsource.projection.takes_over",
        names::LOG_PROJECTION,
        INFO,
        {
            eventsource.projection.name = projection,
            eventsource.projection.partition = partition,
            eventsource.lease.owner = owner
        },
        "takes over from another"
    );
}

/// A rebuild begins, of the events up to a position.
pub(crate) fn projection_rebuild_begun(projection: &str, mode: &str, past: Position) {
    let past = past.get();
    event!(
        "eventsource.projection.rebuild_begun",
        names::LOG_PROJECTION,
        INFO,
        { eventsource.projection.name = projection, eventsource.rebuild.mode = mode, eventsource.to_position = past },
        "rebuild begins"
    );
}

/// Readers see the new read model, with all events that there were when its rebuild began.
pub(crate) fn projection_rebuilt(projection: &str, mode: &str, events: u64, duration: Duration) {
    let duration = duration.as_secs_f64();
    event!(
        "eventsource.projection.rebuilt",
        names::LOG_PROJECTION,
        INFO,
        {
            eventsource.projection.name = projection,
            eventsource.rebuild.mode = mode,
            eventsource.event.count = events,
            eventsource.duration = duration
        },
        "rebuilt"
    );
}

/// A rebuild does not begin, because another runner has a lease. It does when that one ends, however much later.
pub(crate) fn projection_rebuild_waits(projection: &str, partition: u32, owner: &str) {
    event!(
        "eventsource.projection.rebuild_waits",
        names::LOG_PROJECTION,
        WARN,
        {
            eventsource.projection.name = projection,
            eventsource.projection.partition = partition,
            eventsource.lease.owner = owner
        },
        "rebuild waits for the lease of another"
    );
}

/// A part of a projection is run by another runner now, since its lease had expired.
pub(crate) fn projection_lease_lost(projection: &str, partition: u32) {
    event!(
        "eventsource.projection.lease_lost",
        names::LOG_PROJECTION,
        WARN,
        { eventsource.projection.name = projection, eventsource.projection.partition = partition },
        "lease lost to another"
    );
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
    let (position, stream) = (asked.position.get(), asked.stream.as_str());
    event!(
        "eventsource.process_manager.timeout_left",
        names::LOG_PROJECTION,
        ERROR,
        {
            eventsource.projection.name = manager,
            eventsource.position = position,
            eventsource.stream.id = stream,
            eventsource.event.r#type = event_type,
            error.r#type = error_type,
            exception.message = text
        },
        "timeout left until the next start"
    );
}
