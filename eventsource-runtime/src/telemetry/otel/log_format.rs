//! Log lines that lead to their spans.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line;

/// A format for `tracing_subscriber::fmt`: `[level] trace_id=… span_id=… target: message key=value`.
///
/// The ids are those of the current span, whoever created it, and omitted if there is none. Each event is one line:
/// what would break it, or control a terminal, is escaped.
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
        writeln!(out, "{}", line::of(event))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::{Telemetry, TraceContext, span};

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
