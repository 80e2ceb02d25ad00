//! What the store in PostgreSQL tells operators.

use super::ids;
use crate::telemetry::names;

const SYSTEM: &str = "postgresql";

/// The connection that is told of new events is lost, or was never there.
pub(crate) fn reconnecting() {
    event!(
        "eventsource.store.postgres.reconnecting",
        names::LOG_POSTGRES,
        WARN,
        { db.system.name = SYSTEM },
        "not told of new events; connecting again"
    );
}

/// It stands again.
pub(crate) fn reconnected() {
    event!(
        "eventsource.store.postgres.reconnected",
        names::LOG_POSTGRES,
        INFO,
        { db.system.name = SYSTEM },
        "told of new events again"
    );
}
