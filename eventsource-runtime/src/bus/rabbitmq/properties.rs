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

/// Those that a dead letter has as they came. Omitted are those that the broker would act on: a dead letter that
/// expires would be gone, and its user must be the publisher.
const TEXTS: [Text; 8] = [
    (BasicProperties::content_type, BasicProperties::with_content_type),
    (BasicProperties::message_id, BasicProperties::with_message_id),
    (BasicProperties::content_encoding, BasicProperties::with_content_encoding),
    (BasicProperties::correlation_id, BasicProperties::with_correlation_id),
    (BasicProperties::reply_to, BasicProperties::with_reply_to),
    (BasicProperties::kind, BasicProperties::with_type),
    (BasicProperties::app_id, BasicProperties::with_app_id),
    (BasicProperties::cluster_id, BasicProperties::with_cluster_id),
];
/// Headers by which the broker sends a message elsewhere too. It closes the channel over one that is no list.
const ELSEWHERE: [&str; 2] = ["CC", "BCC"];
/// How often the broker has delivered a message before: no longer true of what a handler makes of that.
const DELIVERIES: &str = "x-delivery-count";
const LONG: &str = "it is longer than 255 bytes";

/// A message's properties, or what of it does not fit. A dead letter also has those that its message came with.
pub(super) fn written(
    message: &Message,
    came: Option<&BasicProperties>,
    destination: &str,
    frame: usize,
) -> Result<BasicProperties, PublishError> {
    let headers = own_headers(message, came.is_some());
    let mut headers = headers.map_err(|problem| PublishError::invalid(destination, "a header's name", problem))?;
    headers.insert(SLOT.into(), AMQPValue::LongString(slot(message).into()));
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let timestamp = came.and_then(|came| *came.timestamp()).unwrap_or_else(now);
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_timestamp(timestamp);
    if let Some(id) = message.id() {
        properties = properties.with_message_id(id.to_string().into());
    }
    // One that is too long for the property is only among the headers.
    if let Some(of) = message.content_type().and_then(|of| ShortString::try_new(of).ok()) {
        properties = properties.with_content_type(of);
    }
    if let Some(came) = came {
        add_headers(&mut headers, came);
        for (text, with) in TEXTS {
            if let Some(text) = text(came) {
                properties = with(properties, text.clone());
            }
        }
        if let Some(priority) = came.priority() {
            properties = properties.with_priority(*priority);
        }
    }
    let texts = TEXTS.iter().filter_map(|(text, _)| text(&properties).as_ref());
    let size = length_of_headers(&headers) + texts.map(|text| text.as_str().len() + 1).sum::<usize>();
    let limit = room(message, frame);
    if size > limit {
        return Err(PublishError::too_large(destination, size, limit));
    }
    Ok(properties.with_headers(headers))
}

/// The headers that a message knows, or what is wrong with a name. A dead letter does without those that would send it
/// elsewhere.
fn own_headers(message: &Message, is_dead: bool) -> Result<FieldTable, &'static str> {
    let (mut headers, mut problem) = (FieldTable::default(), None);
    message.write_headers(&mut |name, value| match ShortString::try_new(name) {
        Ok(_) if ELSEWHERE.contains(&name) && is_dead => {}
        Ok(_) if ELSEWHERE.contains(&name) => problem = Some("the broker would act on it"),
        Ok(name) => drop(headers.insert(name, AMQPValue::LongString(value.into()))),
        Err(_) => problem = Some(LONG),
    });
    problem.map_or(Ok(headers), Err)
}

/// Adds the headers that a message came with, in their own types, unless it has another value by now.
fn add_headers(headers: &mut FieldTable, came: &BasicProperties) {
    for (name, value) in came.headers().iter().flatten() {
        let is_other = headers.inner().get(name).is_some_and(|own| bytes(own) != bytes(value));
        if !is_other && !ELSEWHERE.contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn length_of_headers(headers: &FieldTable) -> usize {
    headers.into_iter().map(|(name, value)| FRAME_OF_HEADER + name.as_str().len() + length(value)).sum()
}

fn length(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => LENGTH + text.len(),
        AMQPValue::ByteArray(bytes) => LENGTH + bytes.len(),
        AMQPValue::FieldArray(items) => LENGTH + items.as_slice().iter().map(|item| 1 + length(item)).sum::<usize>(),
        AMQPValue::FieldTable(table) => LENGTH + length_of_headers(table),
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
    ShortString::try_new(key).map_err(|_| PublishError::invalid(destination, "the routing key", LONG))
}

/// A message as it came.
pub(super) fn read(properties: &BasicProperties, payload: Vec<u8>) -> Message {
    let headers =
        properties.headers().iter().flatten().filter(|(name, _)| ![SLOT, DELIVERIES].contains(&name.as_str()));
    let mut headers: Vec<_> = headers.filter_map(|(name, value)| Some((name.as_str(), bytes(value)?))).collect();
    // Others set only the property.
    if let Some(of) = properties.content_type()
        && headers.iter().all(|(name, _)| *name != header::CONTENT_TYPE)
    {
        headers.push((header::CONTENT_TYPE, Cow::Borrowed(of.as_str().as_bytes())));
    }
    Message::read(headers.iter().map(|(name, value)| (*name, &**value)), payload.into())
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

pub(super) fn has_come_before(properties: &BasicProperties) -> bool {
    properties.headers().as_ref().is_some_and(|headers| headers.contains_key(DELIVERIES))
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
            let written = |message: &Message, came: Option<&_>| written(message, came, "orders", frame);
            let Err(PublishError::TooLarge { size, limit, .. }) = written(&of(frame), None) else {
                panic!("it has no room beside a frame of {frame}")
            };
            let largest = frame - (size - limit);
            written(&of(largest + 1), None).unwrap_err();
            let came = written(&of(largest), None).unwrap();
            let letter = of(largest)
                .with_header(header::DEAD_LETTER_REASON, "some_error_of_a_handler")
                .with_header(header::DEAD_LETTER_ATTEMPTS, "4294967295")
                .with_header(header::DEAD_LETTER_AT, "2026-01-01T00:00:00.000000Z")
                .with_header(header::DEAD_LETTER_SOURCE, "o".repeat(255));
            written(&letter, Some(&came)).unwrap();
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
                let came = BasicProperties::default().with_headers(headers);
                written(&read(&came, b"{}".to_vec()), Some(&came), "orders", FRAME)
            };
            of(100).unwrap();
            assert!(matches!(of(FRAME), Err(PublishError::TooLarge { .. })));
        }
    }

    /// The broker closed the channel over it, again and again, and with it all that others had in flight.
    #[test]
    fn a_header_that_the_broker_would_act_on_is_refused_unless_a_dead_letter_came_with_it() {
        for name in ELSEWHERE {
            let mut headers = FieldTable::default();
            headers.insert(name.into(), AMQPValue::LongString("elsewhere".into()));
            let came = BasicProperties::default().with_headers(headers);
            let message = read(&came, b"{}".to_vec());
            assert_eq!(message.headers().text(name), Some("elsewhere"));
            let refused = written(&message, None, "orders", 128 * 1024).unwrap_err();
            assert!(matches!(refused, PublishError::Invalid { part: "a header's name", .. }), "{refused:?}");
            let letter = written(&message, Some(&came), "orders", 128 * 1024).unwrap();
            assert!(letter.headers().iter().flatten().all(|(header, _)| header.as_str() != name));
        }
    }

    /// What a handler sent on was one for ever.
    #[test]
    fn that_a_message_was_redelivered_is_told_of_no_other() {
        let mut headers = FieldTable::default();
        headers.insert(DELIVERIES.into(), AMQPValue::LongLongInt(1));
        let came = BasicProperties::default().with_headers(headers);
        assert!(has_come_before(&came));
        let sent_on = written(&read(&came, b"{}".to_vec()), None, "orders", 128 * 1024).unwrap();
        assert!(!has_come_before(&sent_on));
    }

    /// Numbers were texts by then.
    #[test]
    fn a_dead_letter_has_headers_of_the_types_that_its_message_came_with() {
        let mut headers = FieldTable::default();
        headers.insert("bytes".into(), AMQPValue::ByteArray(b"\xff\x00".to_vec().into()));
        headers.insert(header::EVENT_VERSION.into(), AMQPValue::LongInt(2));
        headers.insert("flag".into(), AMQPValue::Boolean(true));
        headers.insert("number".into(), AMQPValue::LongInt(7));
        headers.insert("nothing".into(), AMQPValue::Void);
        let came = BasicProperties::default().with_headers(headers.clone());
        let message = read(&came, b"{}".to_vec());
        assert_eq!((message.schema_version(), message.headers().text("number")), (Some(2), Some("7")));
        let letter = message.with_header("number", "8").with_header(header::DEAD_LETTER_REASON, "no");
        let letter = written(&letter, Some(&came), "orders", 128 * 1024).unwrap();
        for (name, value) in [("number", "8"), (header::DEAD_LETTER_REASON, "no"), (SLOT, "0")] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        assert_eq!(letter.headers().as_ref(), Some(&headers));
    }
}
