//! What the store in `SQLite` reports to operators.

use std::fmt::Display;

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

/// The file is not where it was opened, and takes nothing more.
pub(crate) fn moved(reason: &dyn Display) {
    event!(
        "eventsource.store.sqlite.moved",
        names::LOG_SQLITE,
        ERROR,
        { db.system.name = "sqlite", exception.message = %reason },
        "the file was moved or deleted"
    );
}
