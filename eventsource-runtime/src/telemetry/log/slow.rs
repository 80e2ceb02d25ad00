//! Slow operations, measured with the metrics.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::seconds;

/// Whether anybody might be told: if not, nothing needs to read the clock.
pub(in crate::telemetry) fn slowness_is_told() -> bool {
    LevelFilter::current() >= LevelFilter::WARN
}

/// A command was slow, from its dispatch to its end.
pub(in crate::telemetry) fn command_slow(command: &str, aggregate: Option<&dyn Fn() -> String>, duration: Duration) {
    event!("eventsource.command.slow", LOG_COMMAND, WARN, "slow", {
        cqrs.command.r#type = command, eventsource.aggregate.id = aggregate.map(|id| id()).as_deref(),
        eventsource.duration = seconds(duration)
    });
}

/// A query was slow.
pub(in crate::telemetry) fn query_slow(query: &str, duration: Duration) {
    event!("eventsource.query.slow", LOG_QUERY, WARN, "slow", {
        cqrs.query.r#type = query, eventsource.duration = seconds(duration)
    });
}
