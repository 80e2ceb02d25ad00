//! Slow operations, measured with the metrics.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::ids;
use crate::telemetry::names;

/// Whether anybody might be told: if not, nothing needs to read the clock.
pub(in crate::telemetry) fn slowness_is_told() -> bool {
    LevelFilter::current() >= LevelFilter::WARN
}

/// A command was slow, from its dispatch to its end.
pub(in crate::telemetry) fn command_slow(command: &str, duration: Duration) {
    let duration = duration.as_secs_f64();
    event!(
        "eventsource.command.slow",
        names::LOG_COMMAND,
        WARN,
        { cqrs.command.r#type = command, eventsource.duration = duration },
        "slow"
    );
}

/// A query was slow.
pub(in crate::telemetry) fn query_slow(query: &str, duration: Duration) {
    let duration = duration.as_secs_f64();
    event!(
        "eventsource.query.slow",
        names::LOG_QUERY,
        WARN,
        { cqrs.query.r#type = query, eventsource.duration = duration },
        "slow"
    );
}
