//! What travels on a bus: an envelope with headers around a payload.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use super::header;
use super::headers::Headers;
use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::fnv::{derived, fnv1a};
use crate::store::{StreamId, Version};
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
    /// A message that belongs to a stream, with a JSON payload. It occurred now, by the system's clock, and has an id of
    /// its own; it has no place in the stream, and its payload is of no particular version.
    #[must_use]
    pub fn new(stream: StreamId, event_type: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        let facts = Facts {
            id: Some(Uuid::now_v7()),
            stream: Some(stream),
            event_type: Some(event_type.into()),
            occurred_at: Some(SystemTime::now().into()),
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

    pub(super) fn carrying(self, event_type: &str, payload: impl Into<Bytes>) -> Self {
        self.change(|inner| (inner.facts.event_type, inner.payload) = (Some(event_type.into()), payload.into()))
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

    /// The id of the command that `consumer` sends because of this message: the same however often it is delivered, and
    /// another for each consumer. One that sends several commands has a name for each. `None` if the message has no id.
    ///
    /// ```
    /// # use eventsource_runtime::bus::Message;
    /// # use eventsource_runtime::dispatch::Context;
    /// # use eventsource_runtime::store::StreamId;
    /// # let message = Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}");
    /// let context = Context { command_id: message.command_id("loyalty"), ..Context::default() };
    /// assert_ne!(context.command_id, message.command_id("invoices"));
    /// ```
    #[must_use]
    pub fn command_id(&self, consumer: &str) -> Option<Uuid> {
        self.id().map(|id| derived(id, consumer.bytes()))
    }

    /// The stream, whose messages keep their order.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamId> {
        self.0.facts.stream.as_ref()
    }

    /// The place of the event in its stream, from 1.
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

    /// As a handler sends it: if it was made of a dead letter it is none, nor is it of the trace of that, which may be
    /// days old.
    pub(super) fn sent_on(self) -> Self {
        if header::DEAD_LETTER.iter().all(|name| self.headers().get(name).is_none()) {
            return self;
        }
        self.change(|inner| {
            inner.trace_context = None;
            inner.headers.remove(&header::DEAD_LETTER);
        })
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

    /// Sets the id, by which a consumer recognizes duplicates: the same for what may be published twice.
    #[must_use]
    pub fn with_id(self, id: Uuid) -> Self {
        self.change(|inner| inner.facts.id = Some(id))
    }

    /// Sets the place of the event in its stream, from 1.
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        self.change(|inner| inner.facts.version = Some(version))
    }

    /// Sets the version of the payload's schema.
    #[must_use]
    pub fn with_schema_version(self, version: u32) -> Self {
        self.change(|inner| inner.facts.schema_version = Some(version))
    }

    /// Sets when the event occurred.
    #[must_use]
    pub fn with_occurred_at(self, at: Timestamp) -> Self {
        self.change(|inner| inner.facts.occurred_at = Some(at))
    }

    /// Sets what everything shares that follows from one initial message, such as that of a message that is handled;
    /// `None` takes it away.
    #[must_use]
    pub fn with_correlation_id(self, id: impl Into<Option<Uuid>>) -> Self {
        self.change(|inner| inner.facts.correlation_id = id.into())
    }

    /// Sets the command or event that caused the event; `None` takes it away.
    #[must_use]
    pub fn with_causation_id(self, id: impl Into<Option<Uuid>>) -> Self {
        self.change(|inner| inner.facts.causation_id = id.into())
    }

    /// The ordering key: a number that all messages of a stream share, the same in every process. A bus of your own
    /// chooses by it the queue or partition that keeps a stream's order; it is a [`Delivery`](super::Delivery)'s lane
    /// unless that is set.
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
    fn the_payload_of_an_event_is_sent_byte_for_byte() {
        use crate::domain::Envelope;
        use crate::store::Position;

        let place = (StreamId::new("Order", 42), Version::new(3), Position::new(7));
        for payload in [&br#" {"b":1.10,"a":340282366920938463463374607431768211455,"b":-0.0}"#[..], b"\0\xff"] {
            let envelope = Envelope::new(Uuid::now_v7(), place.clone(), ("OrderPlaced", 1), Timestamp::from_micros(0));
            assert_eq!(Message::of(&StoredEvent::new(envelope, payload.into())).payload(), payload);
        }
    }

    #[test]
    fn debug_shows_neither_headers_nor_payload() {
        let message = Message::new(StreamId::new("Order", 1), "OrderPlaced", "secret").with_header("token", "secret");
        assert!(!format!("{message:?} {:?}", message.headers()).contains("secret"));
    }
}
