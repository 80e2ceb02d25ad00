//! One trace as lines: `name  bar  duration  what else is telling`.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::text::{self, columns};
use crate::telemetry::names;

/// The bar, where there is room for it.
const BAR: usize = 16;
const DURATION: usize = 10;
/// How much of a name is shown however deep it is nested.
const NAME: usize = 12;
/// How many events of a span are shown.
const EVENTS: usize = 3;

/// The attributes that say at once what happened, and to what, and what they are called on the line. A user's own come
/// next.
const FIRST: [(&str, &str); 6] = [
    (names::CQRS_COMMAND_STATUS, "status"),
    (names::EVENTSOURCE_PROJECTION_STATUS, "status"),
    (names::EVENTSOURCE_RETRY_COUNT, "retries"),
    (names::EVENTSOURCE_AGGREGATE_ID, "id"),
    (names::EVENTSOURCE_EVENT_TYPES, "events"),
    (names::EVENTSOURCE_EVENT_TYPE, "event"),
];
/// What else is worth a place; the others of ours are not.
const THEN: [(&str, &str); 10] = [
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
];
/// The prefixes of our names, and of the conventions that ours follow.
const OURS: [&str; 5] = ["cqrs.", "eventsource.", "db.", "server.", "error."];
/// What goes without saying.
const EXPECTED: [(&str, &str); 3] = [
    (names::CQRS_COMMAND_STATUS, "success"),
    (names::EVENTSOURCE_PROJECTION_STATUS, "applied"),
    (names::EVENTSOURCE_RETRY_COUNT, "0"),
];

/// Names the span that a link leads to, if it is known.
pub(super) type Resolve<'a> = &'a dyn Fn(&SpanContext) -> Option<String>;

/// How much room there is, and whether the terminal takes colors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) width: usize,
    pub(super) color: bool,
    /// What took this long by itself is slow.
    pub(super) slow: Duration,
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
    let widest = rows.iter().map(|row| columns(&row.prefix) + columns(&row.span.name)).max().unwrap_or(0);
    let column = widest.clamp(NAME + 1, style.width * 2 / 5);
    let bar = BAR.min(style.width - column - 2 - DURATION);
    let all = Extent { first, whole: since(last, first), bar };
    let mut lines = Lines { style, text: String::new() };
    let id = spans.first().map(|span| short(span.span_context.trace_id())).unwrap_or_default();
    let count = if spans.len() == 1 { "1 span".to_owned() } else { format!("{} spans", spans.len()) };
    let head = format!("trace {id} · {count} · {}", text::duration(all.whole));
    lines.paint(Paint::Dim, &text::shown(&head, style.width));
    lines.end();
    let known = spans.iter().map(|span| span.span_context.span_id()).collect();
    let below = below(spans);
    let about = About { known, below, resolve, slow: style.slow };
    for row in rows {
        lines.row(&row, column, &all, &about);
        lines.events(&row);
    }
    lines.text
}

/// What the parts of a line are made from, besides its span.
struct About<'a> {
    known: HashSet<SpanId>,
    /// How long what ran below a span kept it waiting.
    below: HashMap<SpanId, Duration>,
    resolve: Resolve<'a>,
    slow: Duration,
}

/// For each span how long any of its children ran, two that ran at once counted once.
fn below(spans: &[SpanData]) -> HashMap<SpanId, Duration> {
    let mut inner: Vec<_> = spans.iter().map(|span| (span.parent_span_id, span.start_time, span.end_time)).collect();
    inner.sort_by_key(|(_, start, _)| *start);
    let mut below: HashMap<SpanId, (Duration, SystemTime)> = HashMap::new();
    for (parent, start, end) in inner {
        let (sum, until) = below.entry(parent).or_insert((Duration::ZERO, start));
        *sum += since(end, start.max(*until));
        *until = end.max(*until);
    }
    below.into_iter().map(|(parent, (sum, _))| (parent, sum)).collect()
}

struct Extent {
    first: SystemTime,
    whole: Duration,
    /// How many columns show it.
    bar: usize,
}

fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    // Clocks sometimes step back; such a span has no width.
    later.duration_since(earlier).unwrap_or_default()
}

struct Row<'a> {
    prefix: String,
    /// The prefix of the lines below the span.
    below: String,
    span: &'a SpanData,
}

/// Every span once, below its parent if that is among them, siblings in the order in which they started.
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
        let inner = if nested.is_empty() { format!("{below}   ") } else { format!("{below}│  ") };
        rows.push(Row { prefix, below: inner, span });
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
        let painted = self.style.color && !matches!(paint, Paint::Plain) && !text.is_empty();
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

    fn row(&mut self, row: &Row<'_>, column: usize, all: &Extent, about: &About<'_>) {
        let span = row.span;
        let failed = matches!(span.status, Status::Error { .. });
        let prefix = indentation(&row.prefix, column - columns(&text::shown(&span.name, NAME)));
        let indented = columns(&prefix);
        let name = text::shown(&span.name, column - indented);
        self.paint(Paint::Dim, &prefix);
        let plain = if prefix.is_empty() { Paint::Bold } else { Paint::Plain };
        self.paint(if failed { Paint::Red } else { plain }, &name);
        self.text.push_str(&" ".repeat((column - indented).saturating_sub(columns(&name)) + 2));
        self.paint(if failed { Paint::Red } else { Paint::Cyan }, &bar(span, all));
        let taken = text::duration(since(span.end_time, span.start_time));
        let paint = if is_slow(span, about) { Paint::Yellow } else { Paint::Plain };
        self.paint(paint, &format!("{taken:>DURATION$}"));
        self.parts(parts(span, about), self.style.width - column - 2 - all.bar - DURATION);
        self.end();
    }

    fn parts(&mut self, parts: Vec<(Paint, String)>, mut room: usize) {
        for (paint, part) in parts {
            if room < 6 {
                break;
            }
            let mut part = text::shown(&part, self.style.width);
            if columns(&part) + 2 > room {
                // Half an attribute tells nothing, and the next one may fit.
                if matches!(paint, Paint::Dim) {
                    continue;
                }
                let is_link = matches!(paint, Paint::Magenta);
                part = if is_link { text::link(&part, room - 2) } else { text::shown(&part, room - 2) };
            }
            room -= columns(&part) + 2;
            self.text.push_str("  ");
            self.paint(paint, &part);
        }
    }

    /// A line for each of the first events of a span, and one that counts the others.
    fn events(&mut self, row: &Row<'_>) {
        let span = row.span;
        let before = indentation(&row.below, self.style.width / 3);
        for event in span.events.events.iter().take(EVENTS) {
            let room = self.style.width.saturating_sub(columns(&before) + 2);
            let name = text::shown(&event.name, room);
            self.paint(Paint::Dim, &format!("{before}· {name}"));
            let room = room.saturating_sub(columns(&name));
            self.parts(event_parts(&event.attributes), room);
            self.end();
        }
        let all = span.events.events.len() + span.events.dropped_count as usize;
        if all > EVENTS {
            self.paint(Paint::Dim, &format!("{before}· … {} more events", all - EVENTS));
            self.end();
        }
    }
}

/// What an event carries, under short names if it is ours.
fn event_parts(attributes: &[KeyValue]) -> Vec<(Paint, String)> {
    let short = |key: &str| {
        let known = FIRST.iter().chain(&THEN).find(|(name, _)| *name == key);
        known.map_or_else(|| key.to_owned(), |(_, short)| (*short).to_owned())
    };
    attributes
        .iter()
        .map(|KeyValue { key, value, .. }| (Paint::Dim, format!("{}={}", short(key.as_str()), text::value(value))))
        .collect()
}

/// Whether a span took long by itself, which is where to look: those above it waited for it.
fn is_slow(span: &SpanData, about: &About<'_>) -> bool {
    let below = about.below.get(&span.span_context.span_id()).copied().unwrap_or_default();
    since(span.end_time, span.start_time).saturating_sub(below) >= about.slow
}

/// The indentation, cut from the left to `most` if it would leave no room for the name.
fn indentation(prefix: &str, most: usize) -> String {
    let wide = columns(prefix);
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
        ((share * all.bar as f64).round() as usize).min(all.bar)
    };
    let from = column(since(span.start_time, all.first)).min(all.bar - 1);
    let to = column(since(span.end_time, all.first)).max(from + 1);
    format!("{}{}{}", " ".repeat(from), "█".repeat(to - from), " ".repeat(all.bar - to))
}

/// What follows the duration, the most telling first: the line may end anywhere.
fn parts(span: &SpanData, about: &About<'_>) -> Vec<(Paint, String)> {
    let mut parts = Vec::new();
    let error_type = attribute(span, names::ERROR_TYPE).map(Value::as_str);
    match (&span.status, error_type) {
        (Status::Error { description }, name) => {
            let name = name.unwrap_or_else(|| "failed".into());
            let code =
                attribute(span, names::DB_RESPONSE_STATUS_CODE).map(|code| format!(" {code}")).unwrap_or_default();
            let colon = if description.is_empty() { "" } else { ": " };
            parts.push((Paint::Red, format!("✗ {name}{code}{colon}{description}")));
        }
        (_, Some(name)) => parts.push((Paint::Yellow, name.into_owned())),
        _ => {}
    }
    if attribute(span, names::EVENTSOURCE_CANCELLED) == Some(&Value::Bool(true)) {
        parts.push((Paint::Yellow, "cancelled".to_owned()));
    }
    if is_slow(span, about) {
        parts.push((Paint::Yellow, "slow".to_owned()));
    }
    links(span, about.resolve, &mut parts);
    if span.parent_span_is_remote {
        parts.push((Paint::Dim, "remote parent".to_owned()));
    } else if span.parent_span_id != SpanId::INVALID && !about.known.contains(&span.parent_span_id) {
        parts.push((Paint::Dim, "parent shown elsewhere".to_owned()));
    }
    attributes(span, &mut parts);
    match span.span_kind {
        SpanKind::Internal => {}
        ref kind => parts.push((Paint::Dim, format!("{kind:?}").to_lowercase())),
    }
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
