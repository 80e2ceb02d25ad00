//! Messages as AMQP has them.

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
/// Which part of a frame is kept for what goes there beside the headers, and for what a dead letter says besides. All
/// headers go in one frame; the broker ends the connection over one that is longer.
const SPARE: usize = 16;
/// What a header takes beside its name and its value.
const FRAME_OF_HEADER: usize = 6;
/// The longest name that the protocol has room for, in bytes.
const LONGEST_NAME: usize = 255;

/// A message's properties, or what of it does not fit.
pub(super) fn written(message: &Message, destination: &str, frame: usize) -> Result<BasicProperties, PublishError> {
    let mut headers = FieldTable::default();
    let (mut fits, mut size) = (true, 0);
    message.write_headers(&mut |name, value| match ShortString::try_new(name) {
        Ok(name) => {
            size += name.as_str().len() + value.len() + FRAME_OF_HEADER;
            headers.insert(name, AMQPValue::LongString(value.into()));
        }
        Err(_) => fits = false,
    });
    if !fits {
        return Err(invalid(destination, "a header's name"));
    }
    let limit = room(message, frame);
    if size > limit {
        return Err(PublishError::TooLarge { destination: destination.to_owned(), size, limit });
    }
    headers.insert(SLOT.into(), AMQPValue::LongString(slot(message).into()));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut properties =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_timestamp(now.as_secs()).with_headers(headers);
    if let Some(id) = message.id() {
        properties = properties.with_message_id(id.to_string().into());
    }
    // One that is longer than the property may be is among the headers alone.
    if let Some(of) = message.content_type().and_then(|of| ShortString::try_new(of).ok()) {
        properties = properties.with_content_type(of);
    }
    Ok(properties)
}

/// How many bytes all headers of a message may have.
fn room(message: &Message, frame: usize) -> usize {
    let spare = frame / SPARE;
    frame - if message.headers().get(header::DEAD_LETTER_REASON).is_some() { spare / 2 } else { spare }
}

/// A routing key that the protocol has room for.
pub(super) fn key(key: &str, destination: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(key).map_err(|_| invalid(destination, "the routing key"))
}

fn invalid(destination: &str, part: &'static str) -> PublishError {
    const { assert!(LONGEST_NAME == 255) }
    PublishError::Invalid { destination: destination.to_owned(), part, problem: "it is longer than 255 bytes" }
}

/// A message as it came.
pub(super) fn read(properties: &BasicProperties, payload: Vec<u8>) -> Message {
    let table = properties.headers().as_ref();
    let headers: Vec<_> = table
        .into_iter()
        .flat_map(FieldTable::inner)
        .filter(|(name, _)| name.as_str() != SLOT)
        .filter_map(|(name, value)| Some((name.as_str(), bytes(value)?)))
        .collect();
    Message::read(headers.iter().map(|(name, value)| (*name, &**value)), payload.into())
}

/// The bytes of a header. Other producers write numbers too; what has parts inside is the broker's own.
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

/// When a message was published, by its own word.
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
            let Err(PublishError::TooLarge { size, limit, .. }) = written(&of(frame), "orders", frame) else {
                panic!("it has no room beside a frame of {frame}")
            };
            let largest = frame - (size - limit);
            written(&of(largest + 1), "orders", frame).unwrap_err();
            written(&of(largest), "orders", frame).unwrap();
            let letter = of(largest)
                .with_header(header::DEAD_LETTER_REASON, "some_error_of_a_handler")
                .with_header(header::DEAD_LETTER_ATTEMPTS, "4294967295")
                .with_header(header::DEAD_LETTER_AT, "2026-01-01T00:00:00.000000Z")
                .with_header(header::DEAD_LETTER_SOURCE, "o".repeat(LONGEST_NAME));
            written(&letter, "orders", frame).unwrap();
        }
    }
}
