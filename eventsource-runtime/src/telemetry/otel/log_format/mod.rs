//! Log lines that lead to their spans.

mod json;

use std::fmt;
use std::time::SystemTime;

use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line;
use crate::clock::Timestamp;

/// A format for `tracing_subscriber::fmt`: `[level] trace_id=… span_id=… target: message key=value`.
///
/// The ids are those of the current span, whoever created it, and omitted if there is none: then an event's own fields
/// `trace_id` and `span_id` stand as others do. Each event is one line:
/// what would break it, or control a terminal, is escaped. A value with a space, a quote or an equals sign is quoted,
/// as in `key="a b=c"`, with a backslash before each quote and backslash in it.
///
/// A record of the `log` crate, which `tracing_subscriber` takes with its feature `tracing-log`, has its own target, and
/// neither the module nor the file that it comes from.
///
/// ```
/// use eventsource_runtime::telemetry::LogFormat;
///
/// let subscriber = tracing_subscriber::fmt().event_format(LogFormat::new().with_time()).finish();
/// # drop(subscriber);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct LogFormat {
    time: bool,
    json: bool,
}

impl LogFormat {
    /// Lines of text, without the time: whatever collects them often adds its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins each line with the time, in UTC, as RFC 3339 writes it.
    pub fn with_time(self) -> Self {
        Self { time: true, ..self }
    }

    /// Writes each event as a JSON object, whose members are `timestamp`, `level`, `trace_id`, `span_id`, `target`,
    /// `message` and `fields`, the latter an object with the event's other fields.
    pub fn json(self) -> Self {
        Self { json: true, ..self }
    }
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = || Timestamp::from(SystemTime::now());
        let of_log = event.normalized_metadata();
        let metadata = of_log.as_ref().unwrap_or_else(|| event.metadata());
        if self.json {
            return writeln!(out, "{}", json::of(event, metadata, now()));
        }
        if self.time {
            write!(out, "{} ", now())?;
        }
        writeln!(out, "{}", line::of(event, metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otel::screen::Screen;
    use crate::telemetry::otel::tree::is_inert;
    use crate::telemetry::{Telemetry, TraceContext, span};

    const HOSTILE: &str = "a\n\"b\u{9b}2J\u{7f}\u{2028}\u{202e}\u{e0001}";

    /// What is logged inside `work`.
    fn logged<R>(format: LogFormat, work: impl FnOnce() -> R) -> (String, R) {
        let lines = Screen::default();
        let theirs = lines.clone();
        let subscriber = tracing_subscriber::fmt().event_format(format).with_writer(move || theirs.clone()).finish();
        let telemetry = Telemetry::builder("tests").build().unwrap();
        let _attached = telemetry.attach();
        let returned = tracing::subscriber::with_default(subscriber, work);
        (lines.text(), returned)
    }

    #[test]
    fn a_line_leads_to_its_span_and_stays_a_line() {
        let (text, (trace, span)) = logged(LogFormat::new(), || {
            tracing::info!(target: "shop", "no span");
            span("one").in_scope(|| {
                let context = TraceContext::current().unwrap();
                let (hostile, said) = ("a\nb\u{1b}[2J\u{202e}", "no admin=true");
                tracing::error!(target: "shop", hostile, count = 3, %said, trace_id = "not twice", "two\nlines");
                (format!("{:032x}", context.trace_id()), format!("{:016x}", context.span_id()))
            })
        });
        assert_eq!(
            text,
            format!(
                "[info] shop: no span\n[error] trace_id={trace} span_id={span} shop: two\\u{{a}}lines \
                 hostile=a\\u{{a}}b\\u{{1b}}[2J\\u{{202e}} count=3 said=\"no admin=true\"\n"
            )
        );
    }

    /// They were taken for ours, which are empty outside of a span, and a line lost what alone led to its trace.
    #[test]
    fn ids_that_an_application_has_of_its_own_stay_where_there_is_no_span() {
        let work = || {
            tracing::info!(target: "shop", trace_id = "of a gateway", span_id = 7, "no span");
            tracing::info!(target: "eventsource::tests", trace_id = "", span_id = "", "ours");
        };
        let (text, ()) = logged(LogFormat::new(), work);
        assert_eq!(text, "[info] shop: no span trace_id=\"of a gateway\" span_id=7\n[info] eventsource::tests: ours\n");
        let (text, ()) = logged(LogFormat::new().json(), work);
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects[0]["fields"], serde_json::json!({ "trace_id": "of a gateway", "span_id": 7 }));
        assert!(objects[1].get("fields").is_none(), "{text}");
    }

    /// The target of each was `log`, and paths of the machine that built the program were in every line.
    #[test]
    fn a_record_of_the_log_crate_has_its_own_target_and_no_paths() {
        let work = || {
            let mut record = tracing_log::log::Record::builder();
            record.level(tracing_log::log::Level::Warn).target("tokio_postgres::connection");
            record.module_path(Some("tokio_postgres::connection")).file(Some("/build/connection.rs")).line(Some(351));
            tracing_log::format_trace(&record.args(format_args!("NOTICE: exists")).build()).unwrap();
            tracing::info!(target: "log", { "log.file" = "orders.log" }, "rotated");
        };
        let (text, ()) = logged(LogFormat::new(), work);
        assert_eq!(
            text,
            "[warn] tokio_postgres::connection: NOTICE: exists\n[info] log: rotated log.file=orders.log\n"
        );
        let (text, ()) = logged(LogFormat::new().json(), work);
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [record, own] = &objects[..] else { panic!("two lines: {text}") };
        assert_eq!((&record["level"], &record["message"]), (&"warn".into(), &"NOTICE: exists".into()));
        assert_eq!(record["target"], "tokio_postgres::connection");
        assert!(record.get("fields").is_none(), "{record}");
        assert_eq!(own["fields"], serde_json::json!({ "log.file": "orders.log" }));
    }

    #[test]
    fn a_line_begins_with_the_time_if_that_is_asked_for() {
        let (text, ()) = logged(LogFormat::new().with_time(), || tracing::info!(target: "shop", "no span"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(rest, "[info] shop: no span\n");
        assert!(time.parse::<Timestamp>().unwrap() <= SystemTime::now().into(), "{time}");
    }

    #[test]
    fn an_object_keeps_the_types_of_its_fields() {
        let (text, context) = logged(LogFormat::new().json(), || {
            tracing::info!(target: "shop", "no span");
            span("one").in_scope(|| {
                tracing::warn!(target: "shop", text = HOSTILE, count = -3, share = 0.5, paid = true, "two\nlines");
                TraceContext::current().unwrap()
            })
        });
        assert!(text.chars().all(|character| character == '\n' || is_inert(character)), "{text:?}");
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [outside, inside] = &objects[..] else { panic!("two lines: {text}") };
        assert!(outside.get("trace_id").is_none() && outside.get("fields").is_none(), "{outside}");
        assert_eq!((&outside["level"], &outside["message"]), (&"info".into(), &"no span".into()));
        assert!(inside["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok(), "{inside}");
        assert_eq!(inside["trace_id"], format!("{:032x}", context.trace_id()));
        assert_eq!(inside["span_id"], format!("{:016x}", context.span_id()));
        assert_eq!((&inside["target"], &inside["message"]), (&"shop".into(), &"two\nlines".into()));
        let fields = serde_json::json!({ "text": HOSTILE, "count": -3, "share": 0.5, "paid": true });
        assert_eq!(inside["fields"], fields);
    }
}
