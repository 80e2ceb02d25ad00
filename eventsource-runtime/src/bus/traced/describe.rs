//! How spans describe messages, sent or processed.

use std::sync::Arc;

use super::Told;
use crate::bus::message::Message;
use crate::bus::{BusInfo, Destination, Place, PublishError, Published};
use crate::telemetry::{Attributes, names};

/// The number of attributes that a message's span has, including those set at its end.
pub(super) const MOST: usize = 18;

pub(super) const SEND: &str = "send";
pub(super) const PROCESS: &str = "process";

pub(super) fn describe_sent(
    Told { info, destination }: &Told,
    handlers: Option<u64>,
    messages: &[Message],
    known: &mut Attributes,
) {
    if let Some(system) = info.system {
        describe_broker(info, (system, SEND), &destination.name, known);
        describe_messages(system, destination, messages, known);
    } else {
        known.record(names::EVENTSOURCE_HANDLER_COUNT, &handlers);
        if messages.len() > 1 {
            known.number(names::EVENTSOURCE_BATCH_SIZE, messages.len() as u64);
        }
    }
    if let [message] = messages {
        describe_event_type(message, known);
    }
}

pub(super) fn describe_event_type(message: &Message, known: &mut Attributes) {
    if let Some(event_type) = &message.facts().event_type {
        known.shared(names::EVENTSOURCE_EVENT_TYPE, event_type);
    }
}

pub(super) fn describe_broker(
    info: &BusInfo,
    (system, operation): (&'static str, &'static str),
    at: &Arc<str>,
    known: &mut Attributes,
) {
    known.text(names::MESSAGING_SYSTEM, system);
    known.text(names::MESSAGING_OPERATION_NAME, operation);
    known.text(names::MESSAGING_OPERATION_TYPE, operation);
    known.shared(names::MESSAGING_DESTINATION_NAME, at);
    known.server(info.server.as_ref());
}

/// Sets what a broker's conventions say of messages, sent or processed.
pub(super) fn describe_messages(system: &str, place: &Destination, messages: &[Message], known: &mut Attributes) {
    let [message] = messages else {
        known.number(names::MESSAGING_BATCH_MESSAGE_COUNT, messages.len() as u64);
        return;
    };
    known.record(names::MESSAGING_MESSAGE_ID, &message.id());
    if system == "kafka"
        && let Some(stream) = message.stream()
    {
        known.shared(names::MESSAGING_KAFKA_MESSAGE_KEY, stream.shared());
    }
    if let Some(key) = &place.routing_key {
        known.shared(names::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, key);
    }
    describe_place(place.place, known);
}

fn describe_place(place: Option<Place>, attributes: &mut Attributes) {
    if let Some(place) = place {
        attributes.string(names::MESSAGING_DESTINATION_PARTITION_ID, place.partition.to_string());
        attributes.record(names::MESSAGING_KAFKA_OFFSET, &place.offset);
    }
}

/// In process the outcome of the messages, elsewhere where the broker put a single one.
pub(super) fn describe_published(info: &BusInfo, results: &[Result<Published, PublishError>], later: &mut Attributes) {
    if info.system.is_none() {
        let all = results.iter().all(Result::is_ok);
        later.text(names::EVENTSOURCE_OUTCOME, if all { "published" } else { "failed" });
    }
    if let [Ok(published)] = results {
        describe_place(published.place, later);
    }
}
