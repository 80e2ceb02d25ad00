//! What the store in `SQLite` reports to operators.

use std::fmt::Display;

const SYSTEM: &str = "sqlite";

/// The log could not be emptied, because somebody else is using it.
pub(crate) fn log_kept(size: u64) {
    event!("eventsource.store.sqlite.log_kept", LOG_SQLITE, WARN, "the log grows and cannot be emptied", {
        db.system.name = SYSTEM, eventsource.log.size = size
    });
}

/// The file is not where it was opened, and takes nothing more.
pub(crate) fn moved(reason: &dyn Display) {
    event!("eventsource.store.sqlite.moved", LOG_SQLITE, ERROR, "the file was moved or deleted", {
        db.system.name = SYSTEM, exception.message = %reason
    });
}
