//! What the bus on `RabbitMQ` reports to operators.

const SYSTEM: &str = "rabbitmq";

/// A connection is up.
pub(crate) fn connected() {
    event!("eventsource.bus.rabbitmq.connected", LOG_RABBITMQ, INFO, "connected", { messaging.system = SYSTEM });
}

/// A connection is lost.
pub(crate) fn disconnected() {
    event!("eventsource.bus.rabbitmq.disconnected", LOG_RABBITMQ, WARN, "connection lost", {
        messaging.system = SYSTEM
    });
}

/// The broker takes no messages for now.
pub(crate) fn blocked() {
    event!("eventsource.bus.rabbitmq.blocked", LOG_RABBITMQ, WARN, "publishing is held up by the broker", {
        messaging.system = SYSTEM
    });
}

/// The broker has no consumer for a queue of a group, which then consumes anew.
pub(crate) fn deaf(group: &str) {
    event!(
        "eventsource.bus.rabbitmq.deaf",
        LOG_RABBITMQ,
        WARN,
        "the broker knows of no consumer, and the group consumes anew",
        { messaging.consumer.group.name = group }
    );
}

/// A subscription of that group, or else a publication, waits for the broker, whose last answer was `error_type`.
pub(crate) fn waits(exchange: &str, group: Option<&str>, error_type: &str) {
    event!("eventsource.bus.rabbitmq.waits", LOG_RABBITMQ, WARN, "waits for the broker", {
        messaging.destination.name = exchange, messaging.consumer.group.name = group, error.r#type = error_type
    });
}
