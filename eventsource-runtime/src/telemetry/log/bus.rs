//! What every bus's subscriptions report to operators.

use crate::bus::Message;
use crate::store::StreamId;

/// A group of subscribers, with the target of its bus.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) target: &'static str,
    pub(crate) name: &'a str,
}

/// A message could not be handled, and is retried; none stands for a batch.
pub(crate) fn message_retried(
    Group { target, name }: Group<'_>,
    message: Option<&Message>,
    retry: u32,
    error_type: &str,
) {
    event!("eventsource.bus.retried", target in BUSES, WARN, "retried", {
        messaging.consumer.group.name = name,
        messaging.message.id = message.and_then(Message::id).map(tracing::field::display),
        eventsource.stream.id = message.and_then(Message::stream).map(StreamId::as_str),
        eventsource.event.r#type = message.and_then(Message::event_type), eventsource.retry.count = retry,
        error.r#type = error_type
    });
}

/// A message failed for good and is stored as a dead letter, or can never be.
pub(crate) fn dead_lettered(Group { target, name }: Group<'_>, message: &Message, error_type: &str) {
    event!("eventsource.bus.dead_lettered", target in BUSES, ERROR, "dead-lettered", {
        messaging.consumer.group.name = name, messaging.message.id = message.id().map(tracing::field::display),
        eventsource.stream.id = message.stream().map(StreamId::as_str),
        eventsource.event.r#type = message.event_type(), error.r#type = error_type
    });
}

/// A dead letter could not be stored, which is retried: its message is held, and so are those behind it.
pub(crate) fn dead_letter_waits(Group { target, name }: Group<'_>, error_type: &str, text: Option<&str>) {
    event!("eventsource.bus.dead_letter_waits", target in BUSES, WARN, "dead letter not stored", {
        messaging.consumer.group.name = name, error.r#type = error_type, exception.message = text
    });
}

/// Messages could not be settled with the bus, which redelivers them.
pub(crate) fn messages_unsettled(Group { target, name }: Group<'_>, messages: u64, error_type: &str) {
    event!("eventsource.bus.unsettled", target in BUSES, WARN, "not settled", {
        messaging.consumer.group.name = name, eventsource.message.count = messages, error.r#type = error_type
    });
}

/// A subscription ended without being stopped.
pub(crate) fn subscription_stopped(Group { target, name }: Group<'_>, error_type: &str) {
    event!("eventsource.bus.stopped", target in BUSES, ERROR, "subscription stopped", {
        messaging.consumer.group.name = name, error.r#type = error_type
    });
}
