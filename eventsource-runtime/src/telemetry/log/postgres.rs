//! What the store in PostgreSQL reports to operators.

use std::fmt::Display;
use std::sync::Arc;

const SYSTEM: &str = "postgresql";

/// An append has waited long: if for a transaction, for that of this process, which has been open for so many seconds.
pub(crate) fn held_up(blocking: Option<(i32, Option<f64>)>) {
    let pid = blocking.map(|(pid, _)| i64::from(pid));
    let open = blocking.and_then(|(_, open)| open);
    event!("eventsource.store.postgres.held_up", LOG_POSTGRES, WARN, "an append waits", {
        db.system.name = SYSTEM, eventsource.blocking.pid = pid, eventsource.duration = open
    });
}

/// The connection that is notified of new events is lost, or was never there. The reason bears no values of users.
pub(crate) fn reconnecting(server: Option<&(Arc<str>, u16)>, reason: &dyn Display) {
    let (address, port) = server.map(|(address, port)| (&**address, i64::from(*port))).unzip();
    event!("eventsource.store.postgres.reconnecting", LOG_POSTGRES, WARN, "not told of new events; connecting again", {
        db.system.name = SYSTEM, server.address = address, server.port = port, exception.message = %reason
    });
}

/// It is up again.
pub(crate) fn reconnected() {
    event!("eventsource.store.postgres.reconnected", LOG_POSTGRES, INFO, "told of new events again", {
        db.system.name = SYSTEM
    });
}
