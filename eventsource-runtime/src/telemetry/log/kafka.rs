//! What the bus on Kafka reports to operators.

const SYSTEM: &str = "kafka";

/// Brokers answer again.
pub(crate) fn connected() {
    event!("eventsource.bus.kafka.connected", LOG_KAFKA, INFO, "connected again", { messaging.system = SYSTEM });
}

/// No broker answers.
pub(crate) fn disconnected() {
    event!("eventsource.bus.kafka.disconnected", LOG_KAFKA, WARN, "no broker answers", { messaging.system = SYSTEM });
}

/// Something failed that the clients retry.
pub(crate) fn failed(code: &str) {
    event!("eventsource.bus.kafka.failed", LOG_KAFKA, WARN, "a client failed and tries again", {
        messaging.system = SYSTEM, error.r#type = code
    });
}

/// A permission that was missing is there again.
pub(crate) fn permitted(group: &str) {
    event!("eventsource.bus.kafka.permitted", LOG_KAFKA, INFO, "a permission that was missing is there again", {
        messaging.consumer.group.name = group
    });
}

/// Brokers refuse to commit how far a group is.
pub(crate) fn commit_failed(group: &str, code: &str) {
    event!("eventsource.bus.kafka.commit_failed", LOG_KAFKA, WARN, "a commit failed", {
        messaging.consumer.group.name = group, error.r#type = code
    });
}

/// A publication failed, with which all others that were not confirmed were cut off.
pub(crate) fn cut() {
    event!("eventsource.bus.kafka.cut", LOG_KAFKA, WARN, "publications were cut off and are made again", {
        messaging.system = SYSTEM
    });
}

/// Brokers deleted messages before a group handled them.
pub(crate) fn deleted(group: &str, topic: &str, partition: i32, messages: u64) {
    let partition = partition.to_string();
    event!("eventsource.bus.kafka.deleted", LOG_KAFKA, ERROR, "messages were deleted before they were handled", {
        messaging.consumer.group.name = group, messaging.destination.name = topic,
        messaging.destination.partition.id = &*partition, eventsource.message.count = messages
    });
}

/// A partition went to another member while messages of it were still being handled.
pub(crate) fn handed_over_busy(group: &str) {
    event!(
        "eventsource.bus.kafka.handed_over_busy",
        LOG_KAFKA,
        WARN,
        "partitions handed over while messages were being handled",
        { messaging.consumer.group.name = group }
    );
}
