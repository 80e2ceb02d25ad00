//! W3C trace context, as stored with every event.

use std::fmt;
use std::iter;
use std::str::FromStr;

/// The names of the headers.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The length of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;
/// The longest `tracestate` that is kept, in bytes.
const MAX_STATE: usize = 512;
/// The most members that a `tracestate` may have.
const MAX_MEMBERS: usize = 32;
/// The longest key and the longest value of a member, in bytes.
const MAX_PART: usize = 256;
/// The longest parts of a key `tenant@system`.
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;
/// The flags of version 00, sampled and random. What others of a later version mean is not known here, and the standard
/// demands that they are not set in what is written.
const KNOWN_FLAGS: u8 = 0x03;
/// White space that may surround a header and each member of a list, without meaning.
const WHITE: [char; 2] = [' ', '\t'];

/// The span and trace that led to something, sampled or not.
///
/// ```
/// # use eventsource_runtime::telemetry::TraceContext;
/// let context: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
/// # Ok::<(), eventsource_runtime::telemetry::InvalidTraceContext>(())
/// ```
#[doc(alias("inject", "extract"))]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Option<Box<str>>,
}

/// The text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a W3C traceparent; write `00`, 32 hex digits of the trace's id, 16 of the span's and 2 of its flags, in lower \
     case, with hyphens between"
)]
pub struct InvalidTraceContext;

impl TraceContext {
    pub(crate) fn new(trace_id: u128, span_id: u64, flags: u8) -> Self {
        Self { trace_id, span_id, flags, state: None }
    }

    /// The context of the current span, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        super::backend::current_trace_context()
    }

    /// The context that came with the headers of a request or a message, by a function that finds one by its name, in
    /// lower case. There is none if the `traceparent` is missing or not one, and it has no state if the `tracestate` is
    /// not one; of several of those the function returns all, with commas between. Give it to a span as its parent, or
    /// as a link.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use eventsource_runtime::telemetry::{self, TraceContext};
    /// let came = HashMap::from([("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
    /// let caller = TraceContext::from_headers(|name| came.get(name).copied());
    /// assert_eq!(caller.as_ref().map(TraceContext::trace_id), Some(0x0af7651916cd43dd8448eb211c80319c));
    ///
    /// telemetry::span("orders.place").options(|options| options.parent(&caller)).in_scope(|| {
    ///     // What is called from here gets them in turn.
    ///     let sent: Vec<_> = TraceContext::current().iter().flat_map(TraceContext::headers).collect();
    /// });
    /// ```
    pub fn from_headers<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let context: Self = header(TRACEPARENT)?.parse().ok()?;
        Some(match header(TRACESTATE) {
            Some(state) => context.with_state(state),
            None => context,
        })
    }

    /// The headers that carry it to whoever is called: `traceparent`, and `tracestate` if there is one.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.tracestate().map(|state| (TRACESTATE, state.to_owned()));
        iter::once((TRACEPARENT, self.traceparent())).chain(state)
    }

    /// Adds a `tracestate`, without the white space between its members. One that is empty, too long, or not a list of
    /// members with distinct keys is left out, as the standard demands.
    #[must_use]
    pub fn with_state(self, state: &str) -> Self {
        Self { state: members(state), ..self }
    }

    /// The same for a foreign one, and whether it had to be left out.
    pub(crate) fn with_foreign_state(self, state: Option<&str>) -> (Self, bool) {
        let Some(state) = state.filter(|state| !state.is_empty()) else { return (self, false) };
        let context = self.with_state(state);
        let is_left_out = context.state.is_none();
        (context, is_left_out)
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The flags as received; the lowest bit means sampled. A header that is written has only those of version 00.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the span was sampled.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The `traceparent` header.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// The `tracestate` header, if there is one.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The members of a `tracestate`, if it is one.
fn members(state: &str) -> Option<Box<str>> {
    if state.len() > MAX_STATE {
        return None;
    }
    let (mut kept, mut count) = (String::with_capacity(state.len()), 0);
    let members = state.split(',').map(|member| member.trim_matches(WHITE));
    for member in members.filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=')?;
        let is_known = || kept.split(',').any(|other| other.split_once('=').is_some_and(|(other, _)| other == key));
        if count == MAX_MEMBERS || !is_key(key) || !is_value(value) || is_known() {
            return None;
        }
        if count > 0 {
            kept.push(',');
        }
        kept.push_str(member);
        count += 1;
    }
    (count > 0).then(|| kept.into_boxed_str())
}

/// A name, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let is_name = |name: &str, longest: usize| {
        let starts = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        starts && name.len() <= longest && name.bytes().all(inside)
    };
    match key.split_once('@') {
        None => is_name(key, MAX_PART),
        Some((tenant, system)) => is_name(tenant, MAX_TENANT) && is_name(system, MAX_SYSTEM),
    }
}

/// White space at its end is not part of it.
fn is_value(value: &str) -> bool {
    let inside = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'=';
    (1..=MAX_PART).contains(&value.len()) && value.bytes().all(inside)
}

/// The `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every event is stored with one, and formatting the numbers costs ten times as much.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_be_bytes());
        write_hex(&mut text[53..], &[self.flags & KNOWN_FLAGS]);
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Two lower-case digits for each byte.
fn write_hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses a `traceparent` header. A later version than 00 may be longer; the rest is ignored, as is white space around
/// the header.
impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let bytes = text.trim_matches(WHITE).as_bytes();
        let parent: &[u8; PARENT_LENGTH] = bytes.first_chunk().ok_or(InvalidTraceContext)?;
        let version = hex(&parent[..2])?;
        let hyphens = [2, 35, 52].iter().all(|&at| parent[at] == b'-');
        let ends = bytes.len() == PARENT_LENGTH || (version != 0 && bytes[PARENT_LENGTH] == b'-');
        let trace_id = hex(&parent[3..35])?;
        let span_id = hex(&parent[36..52])?;
        let flags = hex(&parent[53..])?;
        if !hyphens || !ends || version == 0xff || trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceContext);
        }
        let narrow = |_| InvalidTraceContext;
        Ok(Self::new(trace_id, span_id.try_into().map_err(narrow)?, flags.try_into().map_err(narrow)?))
    }
}

/// Lower-case digits only, as the standard demands: no sign, no upper case.
fn hex(digits: &[u8]) -> Result<u128, InvalidTraceContext> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(InvalidTraceContext),
        };
        Ok(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn comes_back_as_it_was_written() {
        let context: TraceContext = PARENT.parse().unwrap();
        assert_eq!(context.to_string(), PARENT);
        assert_eq!(context.with_state("a=1,b=2").tracestate(), Some("a=1,b=2"));
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        let read = |headers: &[(&'static str, String)]| {
            let header = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            TraceContext::from_headers(header)
        };
        let context: TraceContext = PARENT.parse().unwrap();
        let headers: Vec<_> = context.headers().collect();
        assert_eq!(headers, [("traceparent", PARENT.to_owned())]);
        assert_eq!(read(&headers), Some(context.clone()));
        let stateful = context.clone().with_state("a=1,b=2");
        let mut headers: Vec<_> = stateful.headers().collect();
        assert_eq!(read(&headers), Some(stateful));
        headers[1].1 = "no state".into();
        assert_eq!(read(&headers), Some(context));
        headers[0].1 = "no parent".into();
        assert_eq!((read(&headers), read(&[])), (None, None));
    }

    #[test]
    fn flags_of_later_versions_are_read_and_not_written() {
        let context: TraceContext = format!("cc{}fe-later", &PARENT[2..53]).parse().unwrap();
        assert_eq!((context.flags(), context.is_sampled()), (0xfe, false));
        assert_eq!(context.to_string(), format!("{}02", &PARENT[..53]));
    }

    #[test]
    fn refuses_what_the_standard_refuses() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceContext), "{text}");
        }
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(later.parse::<TraceContext>().is_ok());
    }

    #[test]
    fn a_state_that_is_empty_hostile_or_too_long_is_left_out() {
        let context: TraceContext = PARENT.parse().unwrap();
        for state in ["", "no equals", "a=1\r\nx: y", ",\t,", &"a=1,".repeat(40), &format!("a={}", "x".repeat(600))] {
            assert_eq!(context.clone().with_state(state).tracestate(), None, "{state}");
        }
    }
}
