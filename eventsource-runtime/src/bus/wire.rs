//! Messages as headers and back: what every adapter puts on the wire, and how it reads what arrives.
//!
//! Input may be hostile: values are parsed only up to a length, nothing that fails to parse is an error, and what was
//! not understood is kept as it came, so that the dead letters show it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::as_event::is_aggregate_type;
use super::header;
use super::headers::Headers;
use super::message::{Facts, JSON, Message};
use crate::store::{StreamId, Version};
use crate::telemetry::TraceContext;

/// The longest value that is parsed, in bytes: the maximum of a stream's id, which no other valid value comes near.
const LONGEST: usize = crate::store::MAX_STREAM_ID;
/// How many headers a message knows.
const OURS: usize = 12;

impl Message {
    /// Writes each header, in a fixed order: those the message knows, then the others as they came. Of the former, none
    /// is empty except the id of an aggregate that has an empty one.
    pub fn write_headers(&self, write: &mut dyn FnMut(&str, &[u8])) {
        let facts = self.facts();
        let mut written = Written { write, text: String::new(), told: [None; OURS] };
        if let Some(context) = self.trace_context() {
            written.shown(header::TRACEPARENT, Some(context));
            written.text(header::TRACESTATE, Some(context.tracestate().unwrap_or_default()));
        }
        written.id(header::EVENT_ID, facts.id);
        written.text(header::EVENT_TYPE, facts.event_type.as_deref());
        written.shown(header::EVENT_VERSION, facts.schema_version);
        if let Some(stream) = &facts.stream {
            written.shown(header::AGGREGATE_ID, Some(stream.aggregate_id()));
            written.text(header::AGGREGATE_TYPE, Some(stream.aggregate_type()));
        }
        written.shown(header::AGGREGATE_VERSION, facts.version);
        written.shown(header::OCCURRED_AT, facts.occurred_at);
        written.id(header::CORRELATION_ID, facts.correlation_id);
        written.id(header::CAUSATION_ID, facts.causation_id);
        written.text(header::CONTENT_TYPE, facts.content_type.as_deref());
        // An unreadable one, kept among the others, would contradict what the message tells itself.
        for (name, value) in self.headers().iter().filter(|(name, _)| !written.told.contains(&Some(name))) {
            (written.write)(name, value);
        }
    }

    /// Reads a message from its headers. Never fails: what is malformed or too long is kept among the other headers.
    pub fn read<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>, payload: Bytes) -> Self {
        let mut read = Reading::default();
        for (name, value) in headers {
            if !read.take(name, value) {
                read.rest.push(Arc::from(name), Bytes::copy_from_slice(value));
            }
        }
        read.finish(payload)
    }
}

/// Headers as they are written, with one buffer for those that are not text yet.
struct Written<'w> {
    write: &'w mut dyn FnMut(&str, &[u8]),
    text: String,
    /// Which the message tells, even if one is empty.
    told: [Option<&'static str>; OURS],
}

impl Written<'_> {
    fn tell(&mut self, name: &'static str) {
        if let Some(free) = self.told.iter_mut().find(|told| told.is_none()) {
            *free = Some(name);
        }
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.tell(name);
        if !value.is_empty() {
            (self.write)(name, value.as_bytes());
        }
    }

    fn id(&mut self, name: &'static str, value: Option<Uuid>) {
        if let Some(id) = value {
            self.text(name, Some(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())));
        }
    }

    fn shown(&mut self, name: &'static str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.tell(name);
            self.text.clear();
            // Writing to a `String` cannot fail.
            let _ = write!(self.text, "{value}");
            (self.write)(name, self.text.as_bytes());
        }
    }
}

#[derive(Default)]
struct Reading<'h> {
    facts: Facts,
    aggregate_id: Option<&'h str>,
    aggregate_type: Option<&'h str>,
    parent: Option<TraceContext>,
    /// As it came.
    first_parent: Option<&'h str>,
    state: Option<Cow<'h, str>>,
    /// Whether there is a parent that cannot be read, or more than one, and the same of its state.
    malformed: bool,
    without_state: bool,
    rest: Headers,
}

impl<'h> Reading<'h> {
    /// Whether the header is one of ours and could be read.
    fn take(&mut self, name: &str, value: &'h [u8]) -> bool {
        let text = (value.len() <= LONGEST).then(|| std::str::from_utf8(value).ok()).flatten();
        let facts = &mut self.facts;
        match (name, text) {
            (header::TRACEPARENT, text) => self.take_parent(text),
            (header::TRACESTATE, state) => self.take_state(state),
            (header::EVENT_ID, Some(text)) => set(&mut facts.id, text.parse().ok()),
            (header::EVENT_TYPE, Some(text)) => set(&mut facts.event_type, filled(text).map(shared)),
            (header::EVENT_VERSION, Some(text)) => set(&mut facts.schema_version, text.parse().ok()),
            (header::AGGREGATE_ID, Some(text)) => set(&mut self.aggregate_id, Some(text)),
            (header::AGGREGATE_TYPE, Some(text)) => set(&mut self.aggregate_type, filled(text)),
            (header::AGGREGATE_VERSION, Some(text)) => set(&mut facts.version, text.parse().ok().map(Version::new)),
            (header::OCCURRED_AT, Some(text)) => set(&mut facts.occurred_at, text.parse().ok()),
            (header::CORRELATION_ID, Some(text)) => set(&mut facts.correlation_id, text.parse().ok()),
            (header::CAUSATION_ID, Some(text)) => set(&mut facts.causation_id, text.parse().ok()),
            (header::CONTENT_TYPE, Some(text)) => set(&mut facts.content_type, filled(text).map(content_type)),
            _ => false,
        }
    }

    /// Two of them contradict each other: then there is none, and both are kept, or a dead letter would have one.
    fn take_parent(&mut self, text: Option<&'h str>) -> bool {
        let context = text.and_then(|text| text.parse().ok());
        if self.parent.is_some() || context.is_none() {
            self.parent = None;
            self.malformed = true;
            if let Some(first) = self.first_parent.take() {
                self.rest.push(header::TRACEPARENT.into(), Bytes::copy_from_slice(first.as_bytes()));
            }
            return false;
        }
        if !self.malformed {
            (self.parent, self.first_parent) = (context, text);
        }
        !self.malformed
    }

    /// Several form one list. One that exceeds the length of a state is not extended.
    fn take_state(&mut self, state: Option<&'h str>) -> bool {
        let Some(state) = state else {
            self.without_state = true;
            return false;
        };
        match &mut self.state {
            None => self.state = Some(Cow::Borrowed(state)),
            Some(all) if all.len() <= LONGEST => *all.to_mut() += &[",", state].concat(),
            Some(_) => {}
        }
        true
    }

    fn finish(mut self, payload: Bytes) -> Message {
        match (self.aggregate_type, self.aggregate_id) {
            (Some(of), Some(id)) if is_aggregate_type(of) => self.facts.stream = Some(StreamId::new(of, id)),
            (of, id) => {
                let parts = [(header::AGGREGATE_TYPE, of), (header::AGGREGATE_ID, id)];
                for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                    self.rest.push(name.into(), Bytes::copy_from_slice(value.as_bytes()));
                }
            }
        }
        if let (None, Some(state)) = (&self.parent, &self.state) {
            self.rest.push(header::TRACESTATE.into(), Bytes::copy_from_slice(state.as_bytes()));
        }
        let message = Message::from_parts(self.facts, self.rest, payload);
        let Some(parent) = self.parent else {
            return if self.malformed { message.with_malformed_context() } else { message };
        };
        let (context, without_state) = parent.with_foreign_state(self.state.as_deref());
        let message = message.with_trace_context(Some(context));
        if without_state || self.without_state { message.with_malformed_context() } else { message }
    }
}

/// Keeps the first readable value.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    if slot.is_some() || value.is_none() {
        return false;
    }
    *slot = value;
    true
}

thread_local! {
    /// The type names seen last: there are few, and each message has one.
    static LAST: RefCell<[Option<Arc<str>>; 16]> = const { RefCell::new([const { None }; 16]) };
}

/// A text that many messages share, and that is nearly always here already.
fn shared(text: &str) -> Arc<str> {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last()).map_or(0, |(first, last)| usize::from(*first) + usize::from(*last));
    LAST.with_borrow_mut(|all| {
        let known = &mut all[(ends + bytes.len()) % 16];
        match known {
            Some(known) if **known == *text => Arc::clone(known),
            known => Arc::clone(known.insert(text.into())),
        }
    })
}

fn content_type(text: &str) -> Cow<'static, str> {
    if *text == *JSON { JSON } else { text.to_owned().into() }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn written(message: &Message) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        message.write_headers(&mut |name, value| all.push((name.to_owned(), value.to_vec())));
        all
    }

    fn read_back(message: &Message) -> Message {
        let headers = written(message);
        Message::read(headers.iter().map(|(name, value)| (&**name, &**value)), message.payload().clone())
    }

    fn read(headers: &[(&str, &[u8])]) -> Message {
        Message::read(headers.iter().copied(), Bytes::from_static(b"{}"))
    }

    /// A message with all that one can tell.
    fn full() -> Message {
        let context: TraceContext = PARENT.parse().unwrap();
        Message::new(StreamId::new("Order", "a-1"), "OrderPlaced", "{}")
            .with_occurred_at(Timestamp::from_micros(1_792_000_000_123_456))
            .with_version(Version::new(1))
            .with_schema_version(1)
            .with_correlation_id(Uuid::now_v7())
            .with_causation_id(Uuid::now_v7())
            .with_trace_context(Some(context.with_state("a=1")))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let message = full().with_header("tenant", "north");
        let headers = written(&message);
        assert!(headers.iter().all(|(_, value)| !value.is_empty()));
        assert_eq!(read_back(&message), message);
    }

    /// It was announced as JSON, and the header went nowhere.
    #[test]
    fn what_a_payload_is_written_in_is_said_once_however_it_was_set() {
        let message = || Message::new(StreamId::new("Order", "a-1"), "OrderPlaced", "\u{8}\u{7}");
        let other = "application/protobuf";
        for message in [message().with_header(header::CONTENT_TYPE, other), message().with_content_type(other)] {
            let said = written(&message).into_iter().filter(|(name, _)| name == header::CONTENT_TYPE);
            assert_eq!(said.map(|(_, value)| value).collect::<Vec<_>>(), [other.as_bytes()]);
            assert_eq!(message.content_type(), Some(other));
        }
    }

    /// They were no streams, and what came with them were dead letters.
    #[test]
    fn the_longest_ids_and_the_empty_one_are_read_back() {
        for id in ["x".repeat(LONGEST - "Order-".len()), String::new()] {
            let message = Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
            assert_eq!(read_back(&message), message);
        }
    }

    #[test]
    fn what_could_not_be_read_does_not_contradict_what_is_written_later() {
        let context: TraceContext = PARENT.parse().unwrap();
        let came = read(&[("traceparent", b"nonsense"), ("event_id", b"none"), ("tenant", b""), ("aggregate_id", b"")]);
        let sent = came.with_trace_context(Some(context));
        let expected: [(&str, &[u8]); 4] =
            [("traceparent", PARENT.as_bytes()), ("event_id", b"none"), ("tenant", b""), ("aggregate_id", b"")];
        assert_eq!(written(&sent), expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    }

    #[test]
    fn each_header_that_a_message_tells_is_written_once() {
        let message = full();
        let told = written(&message);
        assert_eq!(told.len(), OURS);
        let mut unreadable = Headers::default();
        for (name, _) in &told {
            unreadable.push(name.as_str().into(), Bytes::new());
        }
        let context = message.trace_context().cloned();
        let again = Message::from_parts(message.facts().clone(), unreadable, Bytes::new()).with_trace_context(context);
        assert_eq!(written(&again), told);
    }

    #[test]
    fn a_message_without_trace_state_has_no_such_header() {
        let context: TraceContext = PARENT.parse().unwrap();
        let message = Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}").with_trace_context(Some(context));
        let names: Vec<_> = written(&message).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], header::TRACEPARENT);
        assert!(!names.contains(&header::TRACESTATE.to_owned()));
    }

    #[test]
    fn what_is_malformed_is_kept_and_harms_nothing() {
        let long = vec![b'0'; 1 << 20];
        for hostile in [&b""[..], b"00", b"\xff\xfe", b"00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &long]
        {
            let message = read(&[(header::TRACEPARENT, hostile), (header::EVENT_ID, hostile)]);
            assert_eq!((message.trace_context(), message.id()), (None, None));
            assert!(message.has_malformed_context());
            assert_eq!(message.headers().get(header::TRACEPARENT).unwrap(), hostile);
            assert_eq!(message.headers().get(header::EVENT_ID).unwrap(), hostile);
        }
        assert!(!read(&[]).has_malformed_context());
    }

    #[test]
    fn what_is_longer_than_any_valid_value_stays_as_it_came() {
        let long = [&[b'0'; LONGEST][..], b"1"].concat();
        let came: Vec<_> = written(&full()).into_iter().map(|(name, _)| (name, long.clone())).collect();
        let message = Message::read(came.iter().map(|(name, value)| (&**name, &**value)), Bytes::new());
        assert_eq!((message.facts(), message.trace_context()), (&Facts::default(), None));
        assert_eq!(written(&message), came);
    }

    #[test]
    fn states_without_end_make_no_list_without_end() {
        let message = read(&vec![(header::TRACESTATE, [b'a'; LONGEST].as_slice()); 1000]);
        assert!(message.headers().get(header::TRACESTATE).unwrap().len() <= 2 * LONGEST + 1);
    }

    #[test]
    fn a_state_that_is_malformed_costs_the_state_alone() {
        for hostile in [&b"no list"[..], b"a=1,a=2", b"\xff\xfe", &[b'a'; 600], &[b'a'; 1 << 11]] {
            for first in [header::TRACEPARENT, header::TRACESTATE] {
                let mut headers = [(header::TRACEPARENT, PARENT.as_bytes()), (header::TRACESTATE, hostile)];
                if first == header::TRACESTATE {
                    headers.reverse();
                }
                let message = read(&headers);
                assert_eq!(message.trace_context(), Some(&PARENT.parse().unwrap()));
                assert!(message.has_malformed_context(), "{hostile:?}");
            }
        }
        assert!(!read(&[(header::TRACEPARENT, PARENT.as_bytes()), (header::TRACESTATE, b"")]).has_malformed_context());
        assert!(!read(&[(header::TRACESTATE, b"no list")]).has_malformed_context(), "there is nothing to go on with");
    }

    /// The first was forgotten: a dead letter had the second alone, and its replay followed that.
    #[test]
    fn two_contexts_are_none_in_a_dead_letter_either() {
        let other = "00-0af7651916cd43dd8448eb211c80319c-00ad6b7169203331-01";
        for last in [(header::TRACEPARENT, PARENT), (header::TRACESTATE, "a=1")] {
            let twice = [(header::TRACEPARENT, PARENT), (header::TRACEPARENT, other), last];
            let message = read(&twice.map(|(name, value)| (name, value.as_bytes())));
            assert_eq!(message.trace_context(), None);
            assert!(message.has_malformed_context());
            assert_eq!(written(&message), twice.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
            assert!(read_back(&message).has_malformed_context());
        }
    }

    #[test]
    fn an_aggregate_without_type_or_with_a_hyphen_in_it_is_no_stream() {
        let only_id: [(&str, &[u8]); 1] = [(header::AGGREGATE_ID, b"1")];
        let hyphen: [(&str, &[u8]); 2] = [(header::AGGREGATE_ID, b"1"), (header::AGGREGATE_TYPE, b"My-Order")];
        for headers in [&only_id[..], &hyphen] {
            let message = read(headers);
            assert_eq!(message.stream(), None);
            assert_eq!(message.headers().text(header::AGGREGATE_ID), Some("1"));
        }
    }
}
