//! Messages as events, written and read.

use super::header;
use super::message::Message;
use crate::clock::Timestamp;
use crate::domain::{AnyEvent, DecodeError, EncodeError, Envelope, Event, Metadata, Recorded, StoredEvent, is_one_of};
use crate::store::{MAX_STREAM_ID, Position, StreamId};

impl Message {
    /// A message of its own, as by [`Message::new`], with an event that is not stored: its name, the version of its
    /// schema, and its payload.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// use eventsource_runtime::bus::Message;
    /// use eventsource_runtime::store::StreamId;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced { customer: String }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let placed = OrderPlaced { customer: "Ada".into() };
    /// let message = Message::encode(StreamId::new("Order", 42), &placed)?;
    /// assert_eq!(message.decode::<OrderPlaced>()?.customer, "Ada");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The event cannot be written as JSON, or cannot be read back from it.
    pub fn encode(stream: StreamId, event: &dyn AnyEvent) -> Result<Self, EncodeError> {
        let payload = event.encode().map_err(|error| error.of(&stream))?;
        Ok(Self::new(stream, event.name(), payload).with_schema_version(event.version()))
    }

    /// The same message with another event in it: its name, the version of its schema, and its payload. So a private
    /// event becomes one that others may rely on.
    ///
    /// # Errors
    /// The event cannot be written as JSON, or cannot be read back from it.
    pub fn with_event(self, event: &dyn AnyEvent) -> Result<Self, EncodeError> {
        let payload = event.encode()?;
        Ok(self.carrying(event.name(), payload).with_schema_version(event.version()))
    }

    /// Whether this is an `E`, by its stored name or one of its aliases.
    #[must_use]
    pub fn is<E: Event>(&self) -> bool {
        self.event_type().is_some_and(|name| is_one_of(name, (E::NAME, E::ALIASES)))
    }

    /// Decodes the payload as an `E`, upcasting an older one.
    ///
    /// The result has no position, since a message carries none. What else a message may lack, because it was not a
    /// stored event or because another producer left it out, has a default: the version in the stream is then 0, the
    /// time 1970-01-01, and the payload's schema version that of `E`.
    ///
    /// # Errors
    /// The message has no readable `event_id`, `event_type`, `aggregate_type` or `aggregate_id`, or the payload does
    /// not fit the type.
    pub fn decode<E: Event>(&self) -> Result<Recorded<E>, MessageError> {
        let facts = self.facts();
        let missing = |header| MessageError::Missing { header };
        let envelope = Envelope {
            id: facts.id.ok_or(missing(header::EVENT_ID))?,
            stream: facts.stream.clone().ok_or_else(|| missing(self.unreadable_part()))?,
            version: facts.version.unwrap_or_default(),
            position: Position::START,
            event_type: facts.event_type.clone().ok_or(missing(header::EVENT_TYPE))?,
            schema_version: facts.schema_version.unwrap_or(E::VERSION),
            recorded_at: facts.occurred_at.unwrap_or(Timestamp::from_micros(0)),
            correlation_id: facts.correlation_id,
            causation_id: facts.causation_id,
            metadata: Metadata::default(),
            trace_context: self.trace_context().cloned(),
        };
        Ok(StoredEvent::new(envelope, self.payload().clone()).decode()?)
    }

    /// Which header leaves a message without a stream.
    fn unreadable_part(&self) -> &'static str {
        match self.headers().text(header::AGGREGATE_TYPE) {
            Some(aggregate_type) if is_aggregate_type(aggregate_type) => header::AGGREGATE_ID,
            _ => header::AGGREGATE_TYPE,
        }
    }
}

/// Whether a stream may have an aggregate of the type. The derive refuses a hyphen in the name of one; that of another
/// producer would shift the boundary between type and id.
pub(super) fn is_aggregate_type(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_STREAM_ID && !name.contains('-')
}

/// A message cannot be read as an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A header is missing, or holds something else.
    #[error("the message has no readable header `{header}`; every event has one")]
    #[non_exhaustive]
    Missing {
        /// The header.
        header: &'static str,
    },
    /// The payload does not fit the type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl MessageError {
    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing_header",
            Self::Decode(_) => "decode",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::store::Version;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct OrderPlaced {
        customer: String,
    }

    impl Event for OrderPlaced {
        const NAME: &'static str = "OrderPlaced";
        const VERSION: u32 = 3;
    }

    /// It was of 1970.
    #[test]
    fn an_event_that_is_not_stored_has_its_time_and_its_schema() {
        let stream = StreamId::new("Order", 1);
        let (begun, event) = (Timestamp::from(SystemTime::now()), OrderPlaced { customer: "Ada".into() });
        let sent = Message::encode(stream, &event).unwrap();
        let recorded = sent.decode::<OrderPlaced>().unwrap();
        assert!((begun..=SystemTime::now().into()).contains(&recorded.recorded_at()));
        assert_eq!((&*recorded.customer, sent.schema_version(), recorded.version().get()), ("Ada", Some(3), 0));
    }

    #[test]
    fn whatever_a_message_knows_can_be_set() {
        let ids = [1, 2, 3].map(Uuid::from_u128);
        let message = Message::new(StreamId::new("Order", 1), "OrderPlaced", r#"{"customer":"Ada"}"#)
            .with_id(ids[0])
            .with_version(Version::new(7))
            .with_schema_version(3)
            .with_correlation_id(ids[1])
            .with_causation_id(ids[2]);
        let recorded = message.decode::<OrderPlaced>().unwrap();
        assert_eq!((recorded.event_id(), recorded.version().get(), recorded.schema_version()), (ids[0], 7, 3));
        assert_eq!((recorded.correlation_id(), recorded.causation_id()), (Some(ids[1]), Some(ids[2])));
        assert_eq!(message.with_correlation_id(None).correlation_id(), None);
    }

    /// The id was said to be unreadable.
    #[test]
    fn the_header_at_fault_is_named() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let whole =
                [(header::EVENT_ID, "00000000-0000-0000-0000-000000000001"), (header::EVENT_TYPE, "OrderPlaced")];
            let headers = whole.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
            Message::read(headers, Bytes::new()).decode::<OrderPlaced>().err().map(|error| error.to_string())
        };
        let said = |header| Some(MessageError::Missing { header }.to_string());
        let (of_type, of_id) = (header::AGGREGATE_TYPE, header::AGGREGATE_ID);
        assert_eq!(of(&[(of_id, "1")]), said(of_type));
        assert_eq!(of(&[(of_id, "1"), (of_type, "My-Order")]), said(of_type));
        assert_eq!(of(&[(of_type, "Order")]), said(of_id));
        assert_eq!(of(&[]), said(of_type));
        assert_eq!(MessageError::Missing { header: of_id }.error_type(), "missing_header");
    }
}
