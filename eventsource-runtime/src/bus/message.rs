//! What travels on a bus: an envelope with headers around a payload.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::header;
use crate::clock::Timestamp;
use crate::domain::{DecodeError, Envelope, Event, Metadata, Recorded, StoredEvent, is_one_of};
use crate::fnv::fnv1a;
use crate::store::{Position, StreamId, Version};
use crate::telemetry::{Linked, TraceContext};

/// A message: what is known about its event, other headers, and the payload.
///
/// Messages from foreign producers may lack any of it; then the method returns `None`. Cloning is cheap.
#[derive(Clone, PartialEq)]
pub struct Message(Arc<Inner>);

/// Behind one pointer, since messages are passed on often.
#[derive(Clone, PartialEq)]
struct Inner {
    facts: Facts,
    trace_context: Option<TraceContext>,
    malformed_context: bool,
    headers: Headers,
    payload: Bytes,
}

/// What the headers of the contract say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) id: Option<Uuid>,
    pub(super) stream: Option<StreamId>,
    pub(super) version: Option<Version>,
    pub(super) event_type: Option<Arc<str>>,
    pub(super) schema_version: Option<u32>,
    pub(super) occurred_at: Option<Timestamp>,
    pub(super) correlation_id: Option<Uuid>,
    pub(super) causation_id: Option<Uuid>,
    pub(super) content_type: Option<Cow<'static, str>>,
}

impl Message {
    /// A message that belongs to a stream, with an id of its own and a JSON payload.
    #[must_use]
    pub fn new(stream: StreamId, event_type: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        let facts = Facts {
            id: Some(Uuid::now_v7()),
            stream: Some(stream),
            event_type: Some(event_type.into()),
            content_type: Some(JSON),
            ..Facts::default()
        };
        Self::from_parts(facts, Headers::default(), payload.into())
    }

    /// A stored event as a message. It carries the trace context stored with the event; the event's metadata stays in
    /// the store.
    #[must_use]
    pub fn of(event: &StoredEvent) -> Self {
        let facts = Facts {
            id: Some(event.id),
            stream: Some(event.stream.clone()),
            version: Some(event.version),
            event_type: Some(Arc::clone(&event.event_type)),
            schema_version: Some(event.schema_version),
            occurred_at: Some(event.recorded_at),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            content_type: Some(JSON),
        };
        Self::from_parts(facts, Headers::default(), event.payload().clone())
            .with_trace_context(event.trace_context.clone())
    }

    pub(super) fn from_parts(facts: Facts, headers: Headers, payload: Bytes) -> Self {
        Self(Arc::new(Inner { facts, trace_context: None, malformed_context: false, headers, payload }))
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The id of the event, by which a consumer recognizes duplicates.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.0.facts.id
    }

    /// The stream, whose messages keep their order.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamId> {
        self.0.facts.stream.as_ref()
    }

    /// The place of the event in its stream.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.0.facts.version
    }

    /// The stored name of the event's type.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.0.facts.event_type.as_deref()
    }

    /// The version of the payload's schema.
    #[must_use]
    pub fn schema_version(&self) -> Option<u32> {
        self.0.facts.schema_version
    }

    /// When the event was recorded.
    #[must_use]
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.0.facts.occurred_at
    }

    /// Shared by all that follows from one initial message.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.0.facts.correlation_id
    }

    /// The command or event that caused the event.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        self.0.facts.causation_id
    }

    /// The content type of the payload.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.0.facts.content_type.as_deref()
    }

    /// The trace context that it carries.
    #[must_use]
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.0.trace_context.as_ref()
    }

    /// Whether it came with an unreadable trace context. That is no error: it starts a new trace or, if only the
    /// `tracestate` is broken, continues the one it came with.
    #[must_use]
    pub fn has_malformed_context(&self) -> bool {
        self.0.malformed_context
    }

    /// The headers without a method of their own, and those with one that could not be read.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.0.payload
    }

    /// Sets the trace context. On publication, a bus sets that of its own span.
    #[must_use]
    pub fn with_trace_context(self, trace_context: Option<TraceContext>) -> Self {
        self.change(|inner| inner.trace_context = trace_context)
    }

    pub(super) fn with_malformed_context(self) -> Self {
        self.change(|inner| inner.malformed_context = true)
    }

    /// Adds a header, replacing those of that name. Headers that the message writes itself, such as its id and its
    /// stream, keep the message's values; `content-type` is as [`with_content_type`](Self::with_content_type).
    #[must_use]
    pub fn with_header(self, name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        let (name, value) = (name.into(), value.into());
        match std::str::from_utf8(&value) {
            Ok(text) if *name == *header::CONTENT_TYPE => self.with_content_type(text.to_owned()),
            _ => self.change(|inner| inner.headers.set(name, value)),
        }
    }

    /// Sets the content type of the payload, if it is not JSON.
    #[must_use]
    pub fn with_content_type(self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.change(|inner| inner.facts.content_type = Some(content_type.into()))
    }

    /// Sets when the event occurred.
    #[must_use]
    pub fn with_occurred_at(self, at: Timestamp) -> Self {
        self.change(|inner| inner.facts.occurred_at = Some(at))
    }

    /// Sets what led to the message.
    #[must_use]
    pub fn with_correlation(self, correlation_id: Option<Uuid>, causation_id: Option<Uuid>) -> Self {
        self.change(|Inner { facts, .. }| (facts.correlation_id, facts.causation_id) = (correlation_id, causation_id))
    }

    /// Whether this is an `E`, by its stored name or one of its aliases.
    #[must_use]
    pub fn is<E: Event>(&self) -> bool {
        self.event_type().is_some_and(|name| is_one_of(name, (E::NAME, E::ALIASES)))
    }

    /// Decodes the payload as an `E`, upcasting an older one. The result has no position, since a message carries none.
    ///
    /// # Errors
    /// A header that every event has is missing, or the payload does not fit the type.
    pub fn decode<E: Event>(&self) -> Result<Recorded<E>, MessageError> {
        let facts = &self.0.facts;
        let missing = |header| MessageError::Missing { header };
        let envelope = Envelope {
            id: facts.id.ok_or(missing("event_id"))?,
            stream: facts.stream.clone().ok_or(missing("aggregate_id"))?,
            version: facts.version.unwrap_or_default(),
            position: Position::START,
            event_type: facts.event_type.clone().ok_or(missing("event_type"))?,
            schema_version: facts.schema_version.unwrap_or(E::VERSION),
            recorded_at: facts.occurred_at.unwrap_or(Timestamp::from_micros(0)),
            correlation_id: facts.correlation_id,
            causation_id: facts.causation_id,
            metadata: Metadata::default(),
            trace_context: self.0.trace_context.clone(),
        };
        Ok(StoredEvent::new(envelope, self.0.payload.clone()).decode()?)
    }

    /// The ordering key: a number that all messages of a stream share, the same in every process.
    #[must_use]
    pub fn order_key(&self) -> u64 {
        self.stream().map_or(0, |stream| fnv1a(stream.as_str().bytes()))
    }
}

pub(super) const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// Omits headers and payload, which may hold anything.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0.facts;
        f.debug_struct("Message")
            .field("id", &facts.id)
            .field("stream", &facts.stream)
            .field("event_type", &facts.event_type)
            .field("trace_context", &self.0.trace_context)
            .finish_non_exhaustive()
    }
}

impl Linked for Message {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        if let Some(context) = &self.0.trace_context {
            add(context, self.id());
        }
    }
}

/// A message cannot be read as an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A header is missing, or holds something else.
    #[error("the message has no readable header `{header}`; every event has one")]
    Missing {
        /// The header.
        header: &'static str,
    },
    /// The payload does not fit the type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Names and values beside those that every event has. Cloning is cheap.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

type Header = (Arc<str>, Bytes);

impl Headers {
    /// The last value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.all().iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The last value under a name, if it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.all().iter().map(|(name, value)| (&**name, value))
    }

    /// Adds a header after those that are there.
    pub(super) fn push(&mut self, name: Arc<str>, value: Bytes) {
        Arc::make_mut(self.0.get_or_insert_default()).push((name, value));
    }

    fn set(&mut self, name: Arc<str>, value: Bytes) {
        let all = Arc::make_mut(self.0.get_or_insert_default());
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }

    fn all(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// Names only; values may hold anything.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which queue a stream goes to must not change with a release.
    #[test]
    fn the_order_key_is_the_same_for_ever() {
        let message = |id: &str| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
        assert_eq!(message("42").order_key(), fnv1a(*b"Order-42"));
    }

    #[test]
    fn debug_shows_neither_headers_nor_payload() {
        let message = Message::new(StreamId::new("Order", 1), "OrderPlaced", "secret").with_header("token", "secret");
        assert!(!format!("{message:?} {:?}", message.headers()).contains("secret"));
    }
}
