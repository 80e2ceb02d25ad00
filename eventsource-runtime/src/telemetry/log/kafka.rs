//! What the bus on Kafka reports to operators.

use super::ids;
use crate::telemetry::names;

const SYSTEM: &str = "kafka";

/// Brokers answer again.
pub(crate) fn connected() {
    event!("eventsource.bus.kafka.connected", names::LOG_KAFKA, INFO, { messaging.system = SYSTEM }, "connected again");
}

/// No broker answers.
pub(crate) fn disconnected() {
    event!(
        "eventsource.bus.kafka.disconnected",
        names::LOG_KAFKA,
        WARN,
        { messaging.system = SYSTEM },
        "no broker answers"
    );
}

/// Something failed that the clients retry.
pub(crate) fn failed(code: &str) {
    event!(
        "eventsource.bus.kafka.failed",
        names::LOG_KAFKA,
        WARN,
        { messaging.system = SYSTEM, error.r#type = code },
        "a client failed and tries again"
    );
}

/// A permission that was missing is there again.
pub(crate) fn permitted(group: &str) {
    event!(
        "eventsource.bus.kafka.permitted",
        names::LOG_KAFKA,
        INFO,
        { messaging.consumer.group.name = group },
        "a permission that was missing is there again"
    );
}

/// Brokers refuse to commit how far a group is.
pub(crate) fn commit_failed(group: &str, code: &str) {
    event!(
        "eventsource.bus.kafka.commit_failed",
        names::LOG_KAFKA,
        WARN,
        { messaging.consumer.group.name = group, error.r#type = code },
        "a commit failed"
    );
}

/// A publication failed, with which all others that were not confirmed were cut off.
pub(crate) fn cut() {
    event!(
        "eventsource.bus.kafka.cut",
        names::LOG_KAFKA,
        WARN,
        { messaging.system = SYSTEM },
        "publications were cut off and are made again"
    );
}

/// Brokers deleted messages before a group handled them.
pub(crate) fn deleted(group: &str, topic: &str, partition: i32, messages: u64) {
    let partition = partition.to_string();
    event!(
        "eventsource.bus.kafka.deleted",
        names::LOG_KAFKA,
        ERROR,
        {
            messaging.consumer.group.name = group,
            messaging.destination.name = topic,
            messaging.destination.partition.id = &*partition,
            eventsource.message.count = messages
        },
        "messages were deleted before they were handled"
    );
}

/// A partition went to another member while messages of it were still being handled.
pub(crate) fn handed_over_busy(group: &str) {
    event!(
        "eventsource.bus.kafka.handed_over_busy",
        names::LOG_KAFKA,
        WARN,
        { messaging.consumer.group.name = group },
        "partitions handed over while messages were being handled"
    );
}
