//! Messages in their AMQP form.

use std::borrow::Cow;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::topology::{SLOT, slot};
use crate::bus::error::PublishError;
use crate::bus::header;
use crate::bus::message::Message;
use crate::clock::Timestamp;

/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;
/// The part of a frame that is reserved for what is there besides the headers, and for what a dead letter adds. All
/// headers go in one frame; the broker ends the connection over a longer one.
const SPARE: usize = 16;
/// What a header takes besides its name and its value: the name's length, and the value's kind.
const FRAME_OF_HEADER: usize = 2;
/// The size of a value's length.
const LENGTH: usize = 4;
/// The most that a value without a length takes.
const LONGEST_OTHER: usize = 8;

/// How a text among the properties is read, and how it is written.
type Text = (fn(&BasicProperties) -> &Option<ShortString>, fn(BasicProperties, ShortString) -> BasicProperties);

/// The texts that our messages have too.
const OURS: [Text; 2] = [
    (BasicProperties::content_type, BasicProperties::with_content_type),
    (BasicProperties::message_id, BasicProperties::with_message_id),
];
/// Those that only others write. Omitted are those that the broker would act on: a dead letter that expires would be
/// gone, and its user must be the publisher.
const OTHERS: [Text; 6] = [
    (BasicProperties::content_encoding, BasicProperties::with_content_encoding),
    (BasicProperties::correlation_id, BasicProperties::with_correlation_id),
    (BasicProperties::reply_to, BasicProperties::with_reply_to),
    (BasicProperties::kind, BasicProperties::with_type),
    (BasicProperties::app_id, BasicProperties::with_app_id),
    (BasicProperties::cluster_id, BasicProperties::with_cluster_id),
];
/// Headers that would make the broker send a dead letter elsewhere too.
const ELSEWHERE: [&str; 2] = ["CC", "BCC"];

/// What came with a message that it does not know, and that its dead letter has again.
#[derive(Default)]
pub(super) struct Came {
    timestamp: Option<u64>,
    /// All of it, if that is more than our messages have.
    properties: Option<Box<BasicProperties>>,
}

/// A message's properties, with those that it came with, or what of it does not fit.
pub(super) fn written(
    message: &Message,
    came: &Came,
    destination: &str,
    frame: usize,
) -> Result<BasicProperties, PublishError> {
    let (mut headers, mut size) = own_headers(message).ok_or_else(|| invalid(destination, "a header's name"))?;
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let timestamp = came.timestamp.unwrap_or_else(now);
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_timestamp(timestamp);
    if let Some(id) = message.id() {
        properties = properties.with_message_id(id.to_string().into());
    }
    // One that is too long for the property is only among the headers.
    if let Some(of) = message.content_type().and_then(|of| ShortString::try_new(of).ok()) {
        properties = properties.with_content_type(of);
    }
    if let Some(came) = &came.properties {
        size += add_headers(&mut headers, came);
        for (text, with) in OURS.iter().chain(&OTHERS) {
            if let Some(text) = text(came) {
                size += text.as_str().len() + 1;
                properties = with(properties, text.clone());
            }
        }
        if let Some(priority) = came.priority() {
            properties = properties.with_priority(*priority);
        }
    }
    let limit = room(message, frame);
    if size > limit {
        return Err(PublishError::TooLarge { destination: destination.to_owned(), size, limit });
    }
    headers.insert(SLOT.into(), AMQPValue::LongString(slot(message).into()));
    Ok(properties.with_headers(headers))
}

/// The headers that a message knows, and how many bytes they take. None if a name does not fit.
fn own_headers(message: &Message) -> Option<(FieldTable, usize)> {
    let mut headers = FieldTable::default();
    let (mut fits, mut size) = (true, 0);
    message.write_headers(&mut |name, value| match ShortString::try_new(name) {
        Ok(name) => {
            let value = AMQPValue::LongString(value.into());
            size += length_of_header(&name, &value);
            headers.insert(name, value);
        }
        Err(_) => fits = false,
    });
    fits.then_some((headers, size))
}

/// Adds the headers that came with a message that does not know them; returns how many bytes they take.
fn add_headers(headers: &mut FieldTable, came: &BasicProperties) -> usize {
    let mut size = 0;
    for (name, value) in came.headers().iter().flatten() {
        if !headers.contains_key(name.as_str()) && !ELSEWHERE.contains(&name.as_str()) {
            size += length_of_header(name, value);
            headers.insert(name.clone(), value.clone());
        }
    }
    size
}

fn length_of_header(name: &ShortString, value: &AMQPValue) -> usize {
    FRAME_OF_HEADER + name.as_str().len() + length(value)
}

fn length(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => LENGTH + text.len(),
        AMQPValue::ByteArray(bytes) => LENGTH + bytes.len(),
        AMQPValue::FieldArray(items) => LENGTH + items.as_slice().iter().map(|item| 1 + length(item)).sum::<usize>(),
        AMQPValue::FieldTable(table) => {
            LENGTH + table.into_iter().map(|(name, value)| length_of_header(name, value)).sum::<usize>()
        }
        _ => LONGEST_OTHER,
    }
}

/// How many bytes all headers of a message may take.
fn room(message: &Message, frame: usize) -> usize {
    let spare = frame / SPARE;
    frame - if message.headers().get(header::DEAD_LETTER_REASON).is_some() { spare / 2 } else { spare }
}

/// A routing key that the protocol can hold.
pub(super) fn key(key: &str, destination: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(key).map_err(|_| invalid(destination, "the routing key"))
}

fn invalid(destination: &str, part: &'static str) -> PublishError {
    PublishError::Invalid { destination: destination.to_owned(), part, problem: "it is longer than 255 bytes" }
}

/// A message as it came, and what came with it.
pub(super) fn read(properties: BasicProperties, payload: Vec<u8>) -> (Message, Came) {
    let (message, has_all_headers) = message(&properties, payload);
    let timestamp = *properties.timestamp();
    let knows_all = has_all_headers && knows_texts(&message, &properties) && properties.priority().is_none();
    (message, Came { timestamp, properties: (!knows_all).then(|| Box::new(properties)) })
}

/// The message, and whether it has all headers.
fn message(properties: &BasicProperties, payload: Vec<u8>) -> (Message, bool) {
    let (mut headers, mut has_all) = (Vec::new(), true);
    for (name, value) in properties.headers().iter().flatten().filter(|(name, _)| name.as_str() != SLOT) {
        match bytes(value) {
            Some(value) => headers.push((name.as_str(), value)),
            None => has_all = false,
        }
    }
    // Others set only the property.
    if let Some(of) = properties.content_type()
        && headers.iter().all(|(name, _)| *name != header::CONTENT_TYPE)
    {
        headers.push((header::CONTENT_TYPE, Cow::Borrowed(of.as_str().as_bytes())));
    }
    (Message::read(headers.iter().map(|(name, value)| (*name, &**value)), payload.into()), has_all)
}

/// Whether a message knows the texts among its properties.
fn knows_texts(message: &Message, properties: &BasicProperties) -> bool {
    let is_type = |text: &ShortString| message.content_type() == Some(text.as_str());
    let is_id = |text: &ShortString| message.id().is_some() && message.id() == text.as_str().parse().ok();
    properties.content_type().as_ref().is_none_or(is_type)
        && properties.message_id().as_ref().is_none_or(is_id)
        && OTHERS.iter().all(|(text, _)| text(properties).is_none())
}

/// The bytes of a header. Other producers write numbers too; nested values are for the dead letters only.
fn bytes(value: &AMQPValue) -> Option<Cow<'_, [u8]>> {
    let number = |number: &dyn std::fmt::Display| Some(Cow::Owned(number.to_string().into_bytes()));
    match value {
        AMQPValue::LongString(text) => Some(Cow::Borrowed(text.as_bytes())),
        AMQPValue::ShortString(text) => Some(Cow::Borrowed(text.as_str().as_bytes())),
        AMQPValue::ByteArray(bytes) => Some(Cow::Borrowed(bytes.as_slice())),
        AMQPValue::Boolean(value) => number(value),
        AMQPValue::ShortShortInt(value) => number(value),
        AMQPValue::ShortShortUInt(value) => number(value),
        AMQPValue::ShortInt(value) => number(value),
        AMQPValue::ShortUInt(value) => number(value),
        AMQPValue::LongInt(value) => number(value),
        AMQPValue::LongUInt(value) => number(value),
        AMQPValue::LongLongInt(value) => number(value),
        AMQPValue::Float(value) => number(value),
        AMQPValue::Double(value) => number(value),
        _ => None,
    }
}

/// When a message was published, according to itself.
pub(super) fn sent_at(properties: &BasicProperties) -> Option<Timestamp> {
    let seconds = i64::try_from((*properties.timestamp())?).ok()?;
    seconds.checked_mul(1_000_000).map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StreamId;

    /// What was published and fails can be written as a dead letter, however small a frame is.
    #[test]
    fn a_dead_letter_has_room_for_what_it_says_besides() {
        for frame in [16 * 1024, 128 * 1024, 1024 * 1024] {
            let bare = Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}");
            let of = |bytes: usize| bare.clone().with_header("large", vec![b'x'; bytes]);
            let written = |message: &Message| written(message, &Came::default(), "orders", frame);
            let Err(PublishError::TooLarge { size, limit, .. }) = written(&of(frame)) else {
                panic!("it has no room beside a frame of {frame}")
            };
            let largest = frame - (size - limit);
            written(&of(largest + 1)).unwrap_err();
            written(&of(largest)).unwrap();
            let letter = of(largest)
                .with_header(header::DEAD_LETTER_REASON, "some_error_of_a_handler")
                .with_header(header::DEAD_LETTER_ATTEMPTS, "4294967295")
                .with_header(header::DEAD_LETTER_AT, "2026-01-01T00:00:00.000000Z")
                .with_header(header::DEAD_LETTER_SOURCE, "o".repeat(255));
            written(&letter).unwrap();
        }
    }

    /// A producer's message of this size that fails is too long for a dead letter, however its size comes about.
    #[test]
    fn what_a_message_came_with_counts() {
        const FRAME: usize = 16 * 1024;
        let text = |bytes: usize| AMQPValue::LongString("x".repeat(bytes).into());
        let in_table = |bytes| {
            let mut table = FieldTable::default();
            table.insert("inner".into(), text(bytes));
            AMQPValue::FieldTable(table)
        };
        let in_arrays = |bytes| AMQPValue::FieldArray(vec![AMQPValue::FieldArray(vec![text(bytes)].into())].into());
        let short = |count| AMQPValue::FieldArray(vec![AMQPValue::Boolean(true); count].into());
        let parts: [&dyn Fn(usize) -> AMQPValue; 3] = [&in_table, &in_arrays, &short];
        for part in parts {
            let of = |bytes| {
                let mut headers = FieldTable::default();
                headers.insert("large".into(), part(bytes));
                let (message, came) = read(BasicProperties::default().with_headers(headers), b"{}".to_vec());
                written(&message, &came, "orders", FRAME)
            };
            of(100).unwrap();
            assert!(matches!(of(FRAME), Err(PublishError::TooLarge { .. })));
        }
    }

    #[test]
    fn of_our_own_messages_nothing_is_kept_besides() {
        let message = Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}").with_header("tenant", "north");
        let sent = written(&message, &Came::default(), "orders", 128 * 1024).unwrap();
        let (back, came) = read(sent, b"{}".to_vec());
        assert_eq!(back, message);
        assert!(came.properties.is_none());
    }
}
