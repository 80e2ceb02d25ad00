//! One trace as lines: `name  bar  duration  what else is telling`.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::text;
use crate::telemetry::names;

const BAR: usize = 16;
const DURATION: usize = 9;
/// How much of a name is shown however deep it is nested.
const NAME: usize = 12;

/// The attributes that say at once what happened, and what they are called on the line. A user's own come next.
const FIRST: [(&str, &str); 5] = [
    (names::CQRS_COMMAND_STATUS, "status"),
    (names::EVENTSOURCE_PROJECTION_STATUS, "status"),
    (names::EVENTSOURCE_RETRY_COUNT, "retries"),
    (names::EVENTSOURCE_EVENT_TYPES, "events"),
    (names::EVENTSOURCE_EVENT_TYPE, "event"),
];
/// What else is worth a place; the others of ours are not.
const THEN: [(&str, &str); 11] = [
    (names::EVENTSOURCE_VERSION, "version"),
    (names::EVENTSOURCE_EVENTS_LOADED, "loaded"),
    (names::CQRS_QUERY_RESULT_COUNT, "results"),
    (names::EVENTSOURCE_REPLAY, "replay"),
    (names::EVENTSOURCE_BATCH_SIZE, "batch"),
    (names::EVENTSOURCE_POSITION, "position"),
    (names::EVENTSOURCE_FROM_POSITION, "from"),
    (names::EVENTSOURCE_TO_POSITION, "to"),
    (names::CQRS_PROJECTION_LAG, "lag"),
    (names::DB_SYSTEM_NAME, "db"),
    (names::EVENTSOURCE_AGGREGATE_ID, "id"),
];
/// Where the names of ours, and of the conventions that ours follow, begin.
const OURS: [&str; 5] = ["cqrs.", "eventsource.", "db.", "server.", "error."];
/// What goes without saying.
const EXPECTED: [(&str, &str); 3] = [
    (names::CQRS_COMMAND_STATUS, "success"),
    (names::EVENTSOURCE_PROJECTION_STATUS, "applied"),
    (names::EVENTSOURCE_RETRY_COUNT, "0"),
];

/// Names the span that a link leads to, if it is known.
pub(super) type Resolve<'a> = &'a dyn Fn(&SpanContext) -> Option<String>;

/// How much room there is, and whether the terminal takes colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) width: usize,
    pub(super) colour: bool,
}

#[derive(Clone, Copy)]
enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
    Magenta,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
            Self::Magenta => "\x1b[35m",
        }
    }
}

/// The first digits of a trace's id: enough to find it among the lines above.
pub(super) fn short(trace: TraceId) -> String {
    let mut id = trace.to_string();
    id.truncate(8);
    id
}

/// The lines of one trace; `spans` must not be empty.
pub(super) fn trace(spans: &[SpanData], resolve: Resolve<'_>, style: Style) -> String {
    let rows = rows(spans);
    let (Some(first), Some(last)) =
        (spans.iter().map(|span| span.start_time).min(), spans.iter().map(|span| span.end_time).max())
    else {
        return String::new();
    };
    let all = Extent { first, whole: since(last, first) };
    let widest = rows.iter().map(|row| row.prefix.chars().count() + row.span.name.chars().count()).max().unwrap_or(0);
    let column = widest.clamp(NAME + 1, style.width * 2 / 5);
    let mut lines = Lines { style, text: String::new() };
    let id = spans.first().map(|span| short(span.span_context.trace_id())).unwrap_or_default();
    let count = if spans.len() == 1 { "1 span".to_owned() } else { format!("{} spans", spans.len()) };
    lines.paint(Paint::Dim, &format!("trace {id} · {count} · {}", text::duration(all.whole)));
    lines.end();
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    for row in rows {
        lines.row(&row, column, &all, &known, resolve);
    }
    lines.text
}

struct Extent {
    first: SystemTime,
    whole: Duration,
}

fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    // Clocks step back now and then; such a span has no width.
    later.duration_since(earlier).unwrap_or_default()
}

struct Row<'a> {
    prefix: String,
    span: &'a SpanData,
}

/// Every span once, below its parent where that is among them, siblings in the order in which they started.
fn rows(spans: &[SpanData]) -> Vec<Row<'_>> {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let mut children: HashMap<SpanId, Vec<&SpanData>> = HashMap::new();
    let mut roots = Vec::new();
    for span in spans {
        let parent = span.parent_span_id;
        if known.contains(&parent) && parent != span.span_context.span_id() {
            children.entry(parent).or_default().push(span);
        } else {
            roots.push(span);
        }
    }
    let mut rows = Vec::with_capacity(spans.len());
    roots.sort_by_key(|span| span.start_time);
    for root in roots {
        walk(root, &mut children, &mut rows);
    }
    // Ids that lead in a circle come from nowhere good, but they are shown.
    while let Some(parent) = children.keys().next().copied() {
        for span in children.remove(&parent).unwrap_or_default() {
            walk(span, &mut children, &mut rows);
        }
    }
    rows
}

fn walk<'a>(root: &'a SpanData, children: &mut HashMap<SpanId, Vec<&'a SpanData>>, rows: &mut Vec<Row<'a>>) {
    let mut stack = vec![(String::new(), String::new(), root)];
    while let Some((prefix, below, span)) = stack.pop() {
        let mut nested = children.remove(&span.span_context.span_id()).unwrap_or_default();
        rows.push(Row { prefix, span });
        nested.sort_by_key(|span| Reverse(span.start_time));
        // The last one is pushed first, and so comes out last.
        for (at, span) in nested.into_iter().enumerate() {
            let (branch, rest) = if at == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            stack.push((format!("{below}{branch}"), format!("{below}{rest}"), span));
        }
    }
}

struct Lines {
    style: Style,
    text: String,
}

impl Lines {
    fn paint(&mut self, paint: Paint, text: &str) {
        let painted = self.style.colour && !matches!(paint, Paint::Plain) && !text.is_empty();
        if painted {
            self.text.push_str(paint.code());
        }
        self.text.push_str(text);
        if painted {
            self.text.push_str("\x1b[0m");
        }
    }

    fn end(&mut self) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
    }

    fn row(&mut self, row: &Row<'_>, column: usize, all: &Extent, known: &HashSet<SpanId>, resolve: Resolve<'_>) {
        let span = row.span;
        let failed = matches!(span.status, Status::Error { .. });
        let prefix = indentation(&row.prefix, column - span.name.chars().count().min(NAME));
        let indented = prefix.chars().count();
        let name = text::shown(&span.name, column - indented);
        self.paint(Paint::Dim, &prefix);
        self.paint(if prefix.is_empty() { Paint::Bold } else { Paint::Plain }, &name);
        self.text.push_str(&" ".repeat((column - indented).saturating_sub(name.chars().count()) + 2));
        self.paint(if failed { Paint::Red } else { Paint::Cyan }, &bar(span, all));
        let taken = text::duration(since(span.end_time, span.start_time));
        self.paint(Paint::Plain, &format!("{taken:>DURATION$}"));
        let mut room = self.style.width.saturating_sub(column + 2 + BAR + DURATION);
        for (paint, part) in parts(span, known, resolve) {
            if room < 6 {
                break;
            }
            let mut part = text::shown(&part, self.style.width);
            if part.chars().count() + 2 > room {
                // Half an attribute tells nothing, and the next one may fit.
                if matches!(paint, Paint::Dim) {
                    continue;
                }
                part = text::shown(&part, room - 2);
            }
            room -= part.chars().count() + 2;
            self.text.push_str("  ");
            self.paint(paint, &part);
        }
        self.end();
    }
}

/// The indentation, cut from the left to `most` where it would leave no room for the name.
fn indentation(prefix: &str, most: usize) -> String {
    let wide = prefix.chars().count();
    if wide <= most {
        return prefix.to_owned();
    }
    std::iter::once('…').chain(prefix.chars().skip(wide + 1 - most)).take(most).collect()
}

/// Where in the trace the span ran.
fn bar(span: &SpanData, all: &Extent) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few columns"
    )]
    let column = |at: Duration| {
        let share = if all.whole.is_zero() { 0.0 } else { at.as_secs_f64() / all.whole.as_secs_f64() };
        ((share * BAR as f64).round() as usize).min(BAR)
    };
    let from = column(since(span.start_time, all.first)).min(BAR - 1);
    let to = column(since(span.end_time, all.first)).max(from + 1);
    format!("{}{}{}", " ".repeat(from), "█".repeat(to - from), " ".repeat(BAR - to))
}

/// What stands behind the duration, the most telling first: the line may end anywhere.
fn parts(span: &SpanData, known: &HashSet<SpanId>, resolve: Resolve<'_>) -> Vec<(Paint, String)> {
    let mut parts = Vec::new();
    let error_type = attribute(span, names::ERROR_TYPE).map(Value::as_str);
    match (&span.status, error_type) {
        (Status::Error { description }, name) => {
            let name = name.unwrap_or_else(|| "failed".into());
            let colon = if description.is_empty() { "" } else { ": " };
            parts.push((Paint::Red, format!("✗ {name}{colon}{description}")));
        }
        (_, Some(name)) => parts.push((Paint::Yellow, name.into_owned())),
        _ => {}
    }
    if attribute(span, names::EVENTSOURCE_CANCELLED) == Some(&Value::Bool(true)) {
        parts.push((Paint::Yellow, "cancelled".to_owned()));
    }
    links(span, resolve, &mut parts);
    match span.span_kind {
        SpanKind::Internal => {}
        ref kind => parts.push((Paint::Dim, format!("{kind:?}").to_lowercase())),
    }
    if span.parent_span_is_remote {
        parts.push((Paint::Dim, "remote parent".to_owned()));
    } else if span.parent_span_id != SpanId::INVALID && !known.contains(&span.parent_span_id) {
        parts.push((Paint::Dim, "parent shown elsewhere".to_owned()));
    }
    attributes(span, &mut parts);
    parts
}

fn links(span: &SpanData, resolve: Resolve<'_>, parts: &mut Vec<(Paint, String)>) {
    let mut links = span.links.links.iter();
    let Some(first) = links.next() else { return };
    let trace = short(first.span_context.trace_id());
    let target = match resolve(&first.span_context) {
        Some(name) => format!("~> {name} (trace {trace})"),
        None => format!("~> trace {trace}"),
    };
    let more = links.len();
    parts.push((Paint::Magenta, if more == 0 { target } else { format!("{target} +{more}") }));
}

fn attributes(span: &SpanData, parts: &mut Vec<(Paint, String)>) {
    let known = |(key, short): &(&str, &str)| {
        let value = attribute(span, key)?;
        let expected = EXPECTED.contains(&(key, value.as_str().as_ref()));
        (!expected).then(|| (Paint::Dim, format!("{short}={}", text::value(value))))
    };
    parts.extend(FIRST.iter().filter_map(known));
    for KeyValue { key, value, .. } in &span.attributes {
        if !OURS.iter().any(|ours| key.as_str().starts_with(ours)) {
            parts.push((Paint::Dim, format!("{key}={}", text::value(value))));
        }
    }
    parts.extend(THEN.iter().filter_map(known));
}

/// The value that was set last: OpenTelemetry keeps all of them.
fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().rev().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}
