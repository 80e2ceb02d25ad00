//! What the bus on `RabbitMQ` reports to operators.

use super::ids;
use crate::telemetry::names;

const SYSTEM: &str = "rabbitmq";

/// A connection is up.
pub(crate) fn connected() {
    event!("eventsource.bus.rabbitmq.connected", names::LOG_RABBITMQ, INFO, { messaging.system = SYSTEM }, "connected");
}

/// A connection is lost.
pub(crate) fn disconnected() {
    event!(
        "eventsource.bus.rabbitmq.disconnected",
        names::LOG_RABBITMQ,
        WARN,
        { messaging.system = SYSTEM },
        "connection lost"
    );
}

/// The broker takes no messages for now.
pub(crate) fn blocked() {
    event!(
        "eventsource.bus.rabbitmq.blocked",
        names::LOG_RABBITMQ,
        WARN,
        { messaging.system = SYSTEM },
        "publishing is held up by the broker"
    );
}

/// The broker has no consumer for a queue of a group, which then consumes anew.
pub(crate) fn deaf(group: &str) {
    event!(
        "eventsource.bus.rabbitmq.deaf",
        names::LOG_RABBITMQ,
        WARN,
        { messaging.consumer.group.name = group },
        "the broker knows of no consumer, and the group consumes anew"
    );
}

/// A subscription of that group, or else a publication, waits for the broker, whose last answer was `error_type`.
pub(crate) fn waits(exchange: &str, group: Option<&str>, error_type: &str) {
    event!(
        "eventsource.bus.rabbitmq.waits",
        names::LOG_RABBITMQ,
        WARN,
        {
            messaging.destination.name = exchange,
            messaging.consumer.group.name = group,
            error.r#type = error_type
        },
        "waits for the broker"
    );
}
