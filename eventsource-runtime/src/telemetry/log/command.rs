//! What commands report to operators.

/// A command was rejected by its handler: the caller's affair, not the operator's.
pub(crate) fn command_rejected<'a>(
    command: &str,
    aggregate: &dyn Fn() -> String,
    error_type: &dyn Fn() -> &'a str,
    text: &dyn Fn() -> Option<String>,
) {
    event!("eventsource.command.rejected", LOG_COMMAND, INFO, "rejected", {
        cqrs.command.r#type = command, eventsource.aggregate.id = aggregate().as_str(), error.r#type = error_type(),
        exception.message = text().as_deref()
    });
}

/// A command met a conflict, because somebody else wrote to its stream meanwhile, and is decided again.
pub(crate) fn command_retried(command: &str, aggregate: &str, retry: u32) {
    event!("eventsource.command.retried", LOG_COMMAND, INFO, "retried after a conflict", {
        cqrs.command.r#type = command, eventsource.aggregate.id = aggregate, eventsource.retry.count = retry
    });
}

/// A snapshot could not be written in the background. Nothing else failed: loads keep replaying the events.
pub(crate) fn snapshot_lost(aggregate: &str, error_type: &str) {
    event!("eventsource.snapshot.lost", LOG_SNAPSHOT, WARN, "not written", {
        eventsource.aggregate.r#type = aggregate, error.r#type = error_type
    });
}
