//! Spans as JSON that can stand inside a page: short names, repeated texts as numbers, and nothing that HTML could take
//! for a tag.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use serde::Serialize;
use serde_json::Value as Json;

/// JavaScript's numbers are exact up to here.
const EXACT: i64 = 1 << 53;

#[derive(Serialize)]
struct Page {
    /// When the first span began, in milliseconds since 1970. The other times are nanoseconds from there.
    epoch: f64,
    left_out: u64,
    texts: Vec<String>,
    spans: Vec<Span>,
}

type Attributes = Vec<(usize, Json)>;

#[derive(Serialize)]
struct Span {
    #[serde(rename = "t")]
    trace: usize,
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "p")]
    parent: String,
    #[serde(rename = "r", skip_serializing_if = "is_zero")]
    remote_parent: u8,
    #[serde(rename = "n")]
    name: usize,
    #[serde(rename = "k")]
    kind: u8,
    #[serde(rename = "b")]
    begin: u64,
    #[serde(rename = "d")]
    duration: u64,
    #[serde(rename = "o")]
    scope: usize,
    /// The text of its failure, if it failed.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "a")]
    attributes: Attributes,
    #[serde(rename = "e", skip_serializing_if = "Vec::is_empty")]
    events: Vec<(u64, usize, Attributes)>,
    #[serde(rename = "l", skip_serializing_if = "Vec::is_empty")]
    links: Vec<(usize, String, Attributes)>,
    /// Attributes, events and links beyond OpenTelemetry's limits.
    #[serde(rename = "x", skip_serializing_if = "is_none_lost")]
    lost: [u32; 3],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(flag: &u8) -> bool {
    *flag == 0
}

fn is_none_lost(lost: &[u32; 3]) -> bool {
    *lost == [0; 3]
}

/// The spans; `left_out` tells how many more there were.
pub(super) fn json(spans: &[SpanData], left_out: u64) -> String {
    let first = spans.iter().map(|span| span.start_time).min().unwrap_or(SystemTime::UNIX_EPOCH);
    let mut texts = Texts::default();
    let spans = spans.iter().map(|span| read(span, first, &mut texts)).collect();
    let epoch = first.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3;
    let page = Page { epoch, left_out, texts: texts.list, spans };
    // This fails only on maps with keys that are no strings, and there are none.
    harmless(&serde_json::to_string(&page).unwrap_or_default())
}

/// In JSON these occur only in strings, so they may be escaped wherever they are.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 16);
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                // A string takes whatever is written.
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text
}

fn read(span: &SpanData, first: SystemTime, texts: &mut Texts) -> Span {
    let context = &span.span_context;
    let parent = if span.parent_span_id == SpanId::INVALID { String::new() } else { span.parent_span_id.to_string() };
    let events = &span.events.events;
    Span {
        trace: texts.place(&context.trace_id().to_string()),
        id: context.span_id().to_string(),
        parent,
        remote_parent: u8::from(span.parent_span_is_remote),
        name: texts.place(&span.name),
        kind: match span.span_kind {
            SpanKind::Internal => 0,
            SpanKind::Server => 1,
            SpanKind::Client => 2,
            SpanKind::Producer => 3,
            SpanKind::Consumer => 4,
        },
        begin: since(span.start_time, first),
        duration: since(span.end_time, span.start_time),
        scope: texts.place(span.instrumentation_scope.name()),
        error: match &span.status {
            Status::Error { description } => Some(description.to_string()),
            Status::Unset | Status::Ok => None,
        },
        attributes: attributes(&span.attributes, texts),
        events: events
            .iter()
            .map(|event| {
                (since(event.timestamp, first), texts.place(&event.name), attributes(&event.attributes, texts))
            })
            .collect(),
        links: span
            .links
            .links
            .iter()
            .map(|link| {
                let to = &link.span_context;
                (texts.place(&to.trace_id().to_string()), to.span_id().to_string(), attributes(&link.attributes, texts))
            })
            .collect(),
        lost: [span.dropped_attributes_count, span.events.dropped_count, span.links.dropped_count],
    }
}

/// Nanoseconds; none if the clock stepped back.
fn since(later: SystemTime, earlier: SystemTime) -> u64 {
    let elapsed = later.duration_since(earlier).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

fn attributes(attributes: &[KeyValue], texts: &mut Texts) -> Attributes {
    attributes.iter().map(|attribute| (texts.place(attribute.key.as_str()), value(&attribute.value))).collect()
}

fn value(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => (*flag).into(),
        Value::I64(number) => int(*number),
        Value::F64(number) => float(*number),
        Value::String(text) => text.as_str().into(),
        Value::Array(Array::Bool(flags)) => flags.clone().into(),
        Value::Array(Array::I64(numbers)) => numbers.iter().copied().map(int).collect(),
        Value::Array(Array::F64(numbers)) => numbers.iter().copied().map(float).collect(),
        Value::Array(Array::String(texts)) => texts.iter().map(opentelemetry::StringValue::as_str).collect(),
        other => other.to_string().into(),
    }
}

fn int(number: i64) -> Json {
    if (-EXACT..=EXACT).contains(&number) { number.into() } else { number.to_string().into() }
}

/// JSON has no infinity.
fn float(number: f64) -> Json {
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

/// Repeated texts, each once.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    at: HashMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: &str) -> usize {
        if let Some(at) = self.at.get(text) {
            return *at;
        }
        let at = self.list.len();
        self.list.push(text.to_owned());
        self.at.insert(text.to_owned(), at);
        at
    }
}
