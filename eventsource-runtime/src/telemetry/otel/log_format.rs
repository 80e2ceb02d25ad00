//! Lines of a log that lead to their spans.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::TraceContext;

/// A format for `tracing_subscriber::fmt`: `[level] trace_id=… span_id=… target: message key=value`.
///
/// The ids are those of the current span, whoever made it, and left out where there is none. Each event is one line: what
/// would break it, or control a terminal, is spelled out.
///
/// ```
/// use eventsource_runtime::telemetry::LogFormat;
///
/// let subscriber = tracing_subscriber::fmt().event_format(LogFormat::new()).finish();
/// # drop(subscriber);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogFormat(());

impl LogFormat {
    /// The format.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(out, "[{}]", metadata.level().as_str().to_ascii_lowercase())?;
        if let Some(context) = TraceContext::current() {
            write!(out, " trace_id={:032x} span_id={:016x}", context.trace_id(), context.span_id())?;
        }
        write!(out, " {}:", metadata.target())?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(out, "{}{}", fields.message, fields.others)
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
        // Our own events bear the ids as fields, for those who take them as records.
        if matches!(field.name(), "trace_id" | "span_id") {
            return;
        }
        let to = if field.name() == "message" { &mut self.message } else { &mut self.others };
        // A text takes whatever is written, and a value that fails to show itself is left as far as it got.
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

/// Spells out what would end the line, reorder it or control a terminal.
struct Inert<'a>(&'a mut String);

impl Write for Inert<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if super::tree::is_inert(character) {
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::{Telemetry, span};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_leads_to_its_span_and_stays_a_line() {
        let lines = Lines::default();
        let theirs = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(LogFormat::new()).with_writer(move || theirs.clone()).finish();
        let telemetry = Telemetry::builder("tests").build().unwrap();
        let _attached = telemetry.attach();
        let ids = tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "shop", "no span");
            span("one").in_scope(|| {
                let context = TraceContext::current().unwrap();
                let hostile = "a\nb\u{1b}[2J\u{202e}";
                tracing::error!(target: "shop", hostile, count = 3, trace_id = "not twice", "two\nlines");
                (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id()))
            })
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let (trace, span) = ids;
        assert_eq!(
            text,
            format!(
                "[info] shop: no span\n[error] trace_id={trace} span_id={span} shop: two\\u{{a}}lines \
                 hostile=a\\u{{a}}b\\u{{1b}}[2J\\u{{202e}} count=3\n"
            )
        );
    }
}
