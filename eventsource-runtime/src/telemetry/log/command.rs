//! What commands report to operators.

use super::ids;
use crate::telemetry::names;

/// A command was rejected by its handler: the caller's affair, not the operator's.
pub(crate) fn command_rejected<'a>(command: &str, error_type: &dyn Fn() -> &'a str, text: &dyn Fn() -> Option<String>) {
    event!(
        "eventsource.command.rejected",
        names::LOG_COMMAND,
        INFO,
        { cqrs.command.r#type = command, error.r#type = error_type(), exception.message = text().as_deref() },
        "rejected"
    );
}

/// A command met a conflict, because somebody else wrote to its stream meanwhile, and is decided again.
pub(crate) fn command_retried(command: &str, retry: u32) {
    event!(
        "eventsource.command.retried",
        names::LOG_COMMAND,
        INFO,
        { cqrs.command.r#type = command, eventsource.retry.count = retry },
        "retried after a conflict"
    );
}

/// A snapshot could not be written in the background. Nothing else failed: loads keep replaying the events.
pub(crate) fn snapshot_lost(aggregate: &str, error_type: &str) {
    event!(
        "eventsource.snapshot.lost",
        names::LOG_SNAPSHOT,
        WARN,
        { eventsource.aggregate.r#type = aggregate, error.r#type = error_type },
        "not written"
    );
}
