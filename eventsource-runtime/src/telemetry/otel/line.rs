//! Text on a single line: nothing in it ends the line, reorders it or controls a terminal, and no value reads as
//! another `key=value`.

use std::fmt::{self, Write};
use std::io::{self, Write as _};

use opentelemetry::KeyValue;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use super::init::is_ours;
use super::tree::is_inert;
use crate::telemetry::{TraceContext, names};

/// A log event: `[level] trace_id=… span_id=… target: message key=value`. The metadata is the event's, or of a record of
/// `log` what it was logged with.
pub(super) fn of(event: &Event<'_>, metadata: &Metadata<'_>) -> String {
    let mut line = format!("[{}]", metadata.level().as_str().to_ascii_lowercase());
    let context = TraceContext::current();
    if let Some(context) = &context {
        let _ = write!(line, " trace_id={:032x} span_id={:016x}", context.trace_id(), context.span_id());
    }
    let left_out = LeftOut::of(event, metadata, context.as_ref());
    let mut fields = Fields { left_out, message: String::new(), others: String::new() };
    event.record(&mut fields);
    let _ = write!(line, " {}:{}{}", metadata.target(), fields.message, fields.others);
    line
}

/// Writes a warning of the set-up to stderr, where no subscriber takes it.
pub(super) fn warn(message: &str, fields: &[KeyValue]) {
    let mut line = format!("[warn] {}: {message}", names::LOG_TELEMETRY);
    add(&mut line, fields);
    line.push('\n');
    // There is nobody to tell that stderr is closed.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// The fields of an event that a line leaves out.
pub(super) struct LeftOut {
    /// The line has the ids of its span, or the event is one of ours, which has them, be they empty, for those who take
    /// it as a record.
    ids: bool,
    /// The event is a record of `log`: its target is the line's, and the place in the code is a path on the machine
    /// that built the program.
    origin: bool,
}

impl LeftOut {
    pub(super) fn of(event: &Event<'_>, metadata: &Metadata<'_>, context: Option<&TraceContext>) -> Self {
        let ids = context.is_some() || is_ours(metadata.target());
        Self { ids, origin: !std::ptr::eq(event.metadata(), metadata) }
    }

    pub(super) fn has(&self, field: &Field) -> bool {
        match field.name() {
            "trace_id" | "span_id" => self.ids,
            "log.target" | "log.module_path" | "log.file" | "log.line" => self.origin,
            _ => false,
        }
    }
}

/// Adds a text.
pub(super) fn inert(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail, and a value that fails to format stays as far as it got.
    let _ = Inert(line).write_fmt(text);
}

/// Adds attributes: ` key=value`.
pub(super) fn add<'a>(line: &mut String, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for KeyValue { key, value, .. } in attributes {
        pair(line, key.as_str(), format_args!("{value}"));
    }
}

/// Adds ` key=value`, the value in quotes where it would not be seen to be one.
fn pair(line: &mut String, key: &str, value: fmt::Arguments<'_>) {
    inert(line, format_args!(" {key}="));
    let begin = line.len();
    inert(line, value);
    if line[begin..].contains(|character: char| character.is_whitespace() || matches!(character, '"' | '=')) {
        let value = line.split_off(begin).replace('\\', r"\\").replace('"', r#"\""#);
        inert(line, format_args!("\"{value}\""));
    }
}

/// The message and the other fields, on one line.
struct Fields {
    left_out: LeftOut,
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match field.name() {
            _ if self.left_out.has(field) => {}
            "message" => inert(&mut self.message, format_args!(" {value}")),
            name => pair(&mut self.others, name, value),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_would_read_as_more_than_one_is_quoted() {
        let shown = |value: &'static str| {
            let mut line = String::new();
            add(&mut line, &[KeyValue::new("key", value)]);
            line
        };
        for plain in ["", "EUR", r"C:\orders", "a,b:c", "größe", "{thing}"] {
            assert_eq!(shown(plain), format!(" key={plain}"));
        }
        assert_eq!(shown("a\nb"), r" key=a\u{a}b");
        assert_eq!(shown("a b=c"), r#" key="a b=c""#);
        assert_eq!(shown("admin=true"), r#" key="admin=true""#);
        assert_eq!(shown(r#"say "hi""#), r#" key="say \"hi\"""#);
        assert_eq!(shown(r#"\" admin=true"#), r#" key="\\\" admin=true""#);
        assert_eq!(shown("a\nb c"), r#" key="a\\u{a}b c""#, "a reader of quotes gets what the one above has");
        assert_eq!(shown("a\u{a0}b"), " key=\"a\u{a0}b\"");
    }
}
