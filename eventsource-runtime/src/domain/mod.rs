//! What an application is made of: events, aggregates, commands, queries, and the envelope around a stored event.

mod aggregate;
mod command;
mod event;
mod event_ref;
pub(crate) mod json;
mod metadata;
mod query;
pub(crate) mod sensitive;
mod span_name;
mod upcast;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

pub(crate) use aggregate::evolve_as_read;
pub use aggregate::{Aggregate, Snapshot};
pub(crate) use command::AnyCommand;
pub use command::{Command, Handle, Handlers, Registry};
pub use event::{AnyEvent, Apply, Decision, EncodeError, Event, EventDef, EventSet, Includes, IntoEvents};
pub(crate) use event::{is_one_of, names_of};
pub use event_ref::EventRef;
pub use metadata::Metadata;
pub use query::{HandleQuery, Query, QueryHandlers, QueryRegistry};
pub use sensitive::Sensitive;
pub(crate) use upcast::decode_payload;
pub use upcast::{DecodeError, DecodeFault, Upcast, UpcastError};

use crate::clock::Timestamp;
use crate::store::{Position, StreamId, Version};
use crate::telemetry::{Linked, TraceContext};

/// Seals the traits that only the buses implement.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Everything the store keeps about an event beside its payload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Globally unique; the same when an append is retried.
    pub id: Uuid,
    /// The stream that holds the event.
    pub stream: StreamId,
    /// The place in the stream, from 1 and without gaps; 0 of a message that told none.
    pub version: Version,
    /// The place in the store's global feed.
    pub position: Position,
    /// The stored name of the event's type.
    pub event_type: Arc<str>,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// When the event was recorded, by the clock of the process that appended it.
    pub recorded_at: Timestamp,
    /// Shared by everything that follows from one first message.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to this event.
    pub causation_id: Option<Uuid>,
    /// What the application stores beside the payload.
    pub metadata: Metadata,
    /// The trace in which the event was persisted.
    pub trace_context: Option<TraceContext>,
}

impl Envelope {
    /// An envelope, for stores that read it back. Optional fields are set afterwards.
    ///
    /// ```
    /// use eventsource_runtime::clock::Timestamp;
    /// use eventsource_runtime::store::{Position, StreamId, Version};
    /// use eventsource_runtime::{Envelope, StoredEvent};
    /// # let (id, cause) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    ///
    /// let place = (StreamId::new("Order", 42), Version::new(1), Position::new(7));
    /// let mut envelope = Envelope::new(id, place, ("OrderPlaced", 1), Timestamp::from_micros(0));
    /// envelope.causation_id = Some(cause);
    /// let event = StoredEvent::new(envelope, "{}".into());
    /// assert_eq!((event.version.get(), event.causation_id), (1, Some(cause)));
    /// ```
    #[must_use]
    pub fn new(
        id: Uuid,
        (stream, version, position): (StreamId, Version, Position),
        (event_type, schema_version): (impl Into<Arc<str>>, u32),
        recorded_at: Timestamp,
    ) -> Self {
        Self {
            id,
            stream,
            version,
            position,
            event_type: event_type.into(),
            schema_version,
            recorded_at,
            correlation_id: None,
            causation_id: None,
            metadata: Metadata::default(),
            trace_context: None,
        }
    }

    /// The correlation id of what follows from the event: its own, or else its id.
    pub(crate) fn correlation(&self) -> Uuid {
        self.correlation_id.unwrap_or(self.id)
    }
}

/// An event as the store keeps it: the envelope and the payload's bytes, exactly as they were written.
#[derive(Clone)]
pub struct StoredEvent {
    envelope: Arc<Envelope>,
    payload: Bytes,
    malformed_context: bool,
}

impl StoredEvent {
    /// Combines what a store has read.
    #[must_use]
    pub fn new(envelope: Envelope, payload: Bytes) -> Self {
        Self { envelope: Arc::new(envelope), payload, malformed_context: false }
    }

    /// Marks an event whose stored trace context, or part of it, could not be read. That is not an error: the event
    /// goes without it, and the mark lets readers count such contexts.
    #[must_use]
    pub fn with_malformed_context(self, malformed: bool) -> Self {
        Self { malformed_context: malformed, ..self }
    }

    /// Whether the stored trace context, or part of it, could not be read.
    #[must_use]
    pub fn has_malformed_context(&self) -> bool {
        self.malformed_context
    }

    /// The payload as it was written.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Its approximate size in bytes: payload and metadata.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.envelope.metadata.bytes()
    }

    /// Borrows what a decoder needs.
    #[must_use]
    pub fn as_event_ref(&self) -> EventRef<'_> {
        EventRef {
            stream: &self.envelope.stream,
            version: self.envelope.version,
            position: self.envelope.position,
            event_type: &self.envelope.event_type,
            schema_version: self.envelope.schema_version,
            payload: &self.payload,
        }
    }

    /// Whether this is an `E`, by its stored name or one of its aliases.
    #[must_use]
    pub fn is<E: Event>(&self) -> bool {
        self.as_event_ref().is::<E>()
    }

    /// Reads the payload as an `E`, upcasting an older one.
    ///
    /// # Errors
    /// The payload does not fit the type.
    pub fn decode<E: Event>(&self) -> Result<Recorded<E>, DecodeError> {
        let payload = self.as_event_ref().decode()?;
        Ok(Recorded { envelope: Arc::clone(&self.envelope), payload })
    }
}

/// The envelope's fields: `stored.version`, `stored.event_type`.
impl Deref for StoredEvent {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.envelope
    }
}

impl PartialEq for StoredEvent {
    fn eq(&self, other: &Self) -> bool {
        self.envelope == other.envelope && self.payload == other.payload
    }
}

/// Omits the payload, which may hold anything.
impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEvent").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}

/// An event that was read back: its fields through `Deref`, its envelope through methods.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced { customer: String }
/// fn describe(event: &Recorded<OrderPlaced>) -> String {
///     format!("{} placed order {}", event.customer, event.aggregate_id())
/// }
/// ```
pub struct Recorded<E> {
    envelope: Arc<Envelope>,
    payload: E,
}

impl<E> Recorded<E> {
    /// Everything that is stored beside the payload.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The globally unique id.
    #[must_use]
    pub fn event_id(&self) -> Uuid {
        self.envelope.id
    }

    /// The stream that holds the event.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.envelope.stream
    }

    /// The type of the aggregate that decided the event.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        self.envelope.stream.aggregate_type()
    }

    /// The aggregate's identifier, as text.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.envelope.stream.aggregate_id()
    }

    /// The place in the stream, from 1; 0 if it came in a message that told none.
    #[must_use]
    pub fn version(&self) -> Version {
        self.envelope.version
    }

    /// The place in the global feed; [`Position::START`] if it came in a message.
    #[must_use]
    pub fn position(&self) -> Position {
        self.envelope.position
    }

    /// The stored name of the event's type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.envelope.event_type
    }

    /// The schema version under which the payload was stored; the payload itself is of the current one.
    #[must_use]
    pub fn schema_version(&self) -> u32 {
        self.envelope.schema_version
    }

    /// When the event was recorded; 1970-01-01 if it came in a message that did not say.
    #[must_use]
    pub fn recorded_at(&self) -> Timestamp {
        self.envelope.recorded_at
    }

    /// Shared by everything that follows from one first message.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.envelope.correlation_id
    }

    /// The command or event that led to this event.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        self.envelope.causation_id
    }

    /// What the application stores beside the payload.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.envelope.metadata
    }

    /// The trace in which the event was persisted.
    #[must_use]
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.envelope.trace_context.as_ref()
    }

    /// The payload, without its envelope.
    #[must_use]
    pub fn into_payload(self) -> E {
        self.payload
    }
}

impl<E> Deref for Recorded<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.payload
    }
}

impl<E: Clone> Clone for Recorded<E> {
    fn clone(&self) -> Self {
        Self { envelope: Arc::clone(&self.envelope), payload: self.payload.clone() }
    }
}

/// Omits the payload, which may hold anything.
impl<E> fmt::Debug for Recorded<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}

impl<E> Linked for Recorded<E> {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        if let Some(context) = self.trace_context() {
            add(context, Some(self.event_id()));
        }
    }
}

impl Linked for StoredEvent {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        if let Some(context) = &self.trace_context {
            add(context, Some(self.id));
        }
    }
}
