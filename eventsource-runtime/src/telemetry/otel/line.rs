//! Text on a single line: nothing in it ends the line, reorders it or controls a terminal.

use std::fmt::{self, Write};

use opentelemetry::KeyValue;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::tree::is_inert;
use crate::telemetry::TraceContext;

/// A log event: `[level] trace_id=… span_id=… target: message key=value`.
pub(super) fn of(event: &Event<'_>) -> String {
    let metadata = event.metadata();
    let mut line = format!("[{}]", metadata.level().as_str().to_ascii_lowercase());
    if let Some(context) = TraceContext::current() {
        let _ = write!(line, " trace_id={:032x} span_id={:016x}", context.trace_id(), context.span_id());
    }
    let mut fields = Fields::default();
    event.record(&mut fields);
    let _ = write!(line, " {}:{}{}", metadata.target(), fields.message, fields.others);
    line
}

/// Adds a text.
pub(super) fn inert(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = Inert(line).write_fmt(text);
}

/// Adds attributes: ` key=value`.
pub(super) fn add<'a>(line: &mut String, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for KeyValue { key, value, .. } in attributes {
        inert(line, format_args!(" {key}={value}"));
    }
}

/// The message and the other fields, on one line.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Our own events carry the ids as fields, for those who take them as records.
        if matches!(field.name(), "trace_id" | "span_id") {
            return;
        }
        let to = if field.name() == "message" { &mut self.message } else { &mut self.others };
        // Writing to a `String` cannot fail, and a value that fails to format stays as far as it got.
        let _ = match field.name() {
            "message" => to.write_char(' '),
            name => write!(to, " {name}="),
        };
        let _ = Inert(to).write_fmt(value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Escapes what would end the line, reorder it or control a terminal.
struct Inert<'a>(&'a mut String);

impl Write for Inert<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_inert(character) {
                self.0.push(character);
            } else {
                self.0.extend(character.escape_unicode());
            }
        }
        Ok(())
    }
}
