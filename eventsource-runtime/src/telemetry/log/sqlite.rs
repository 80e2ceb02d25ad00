//! What the store in `SQLite` reports to operators.

use super::ids;
use crate::telemetry::names;

/// The log could not be emptied, because somebody else is using it.
pub(crate) fn log_kept(size: u64) {
    event!(
        "eventsource.store.sqlite.log_kept",
        names::LOG_SQLITE,
        WARN,
        { db.system.name = "sqlite", eventsource.log.size = size },
        "the log grows and cannot be emptied"
    );
}
