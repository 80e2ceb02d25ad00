//! A log event as a JSON object.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use crate::clock::Timestamp;
use crate::telemetry::TraceContext;
use crate::telemetry::otel::line::LeftOut;
use crate::telemetry::otel::tree::is_inert;

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

/// The object, on one line, with whatever would control a terminal or reorder the line escaped.
pub(super) fn of(event: &Event<'_>, metadata: &Metadata<'_>, now: Timestamp) -> String {
    let context = TraceContext::current();
    let mut fields = Fields { left_out: LeftOut::of(event, metadata, context.as_ref()), others: Map::new() };
    event.record(&mut fields);
    let line = Line {
        timestamp: now.to_string(),
        level: metadata.level().as_str().to_ascii_lowercase(),
        trace_id: context.as_ref().map(|context| format!("{:032x}", context.trace_id())),
        span_id: context.map(|context| format!("{:016x}", context.span_id())),
        target: metadata.target(),
        message: fields.others.remove("message"),
        fields: fields.others,
    };
    // Texts and numbers can always be written.
    inert(&serde_json::to_string(&line).unwrap_or_default())
}

/// JSON escapes control characters of ASCII alone. Others can only be in a text.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for character in json.chars() {
        if is_inert(character) {
            inert.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(inert, "\\u{unit:04x}");
            }
        }
    }
    inert
}

/// The event's fields, but for those left out.
struct Fields {
    left_out: LeftOut,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        if !self.left_out.has(field) {
            self.others.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}
