//! Spans as text: a test compares the whole of them with what a reader can check by eye.

use std::collections::HashMap;
use std::fmt::Write;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

/// Spans, grouped by parent.
#[derive(Debug)]
pub struct Trees {
    spans: Vec<SpanData>,
    replaced: Vec<(String, &'static str)>,
}

impl Trees {
    /// The trees that some spans make.
    #[must_use]
    pub fn new(mut spans: Vec<SpanData>) -> Self {
        spans.sort_by_key(|span| span.start_time);
        Self { spans, replaced: Vec::new() }
    }

    /// Shows `name` wherever a value holds `value`.
    #[must_use]
    pub fn replace(mut self, value: impl std::fmt::Display, name: &'static str) -> Self {
        self.replaced.push((value.to_string(), name));
        self
    }

    /// The first span of that name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn span(&self, name: &str) -> &SpanData {
        self.spans
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("no span `{name}` in\n{}", self.names()))
    }

    /// The names alone, indented by depth: `command.PlaceOrder(load_aggregate(event_store.load))`.
    #[must_use]
    pub fn names(&self) -> String {
        self.names_of_each().join(" ")
    }

    /// The same, of each root.
    #[must_use]
    pub fn names_of_each(&self) -> Vec<String> {
        self.roots().map(|root| self.nested(root)).collect()
    }

    fn nested(&self, span: &SpanData) -> String {
        let below: Vec<_> = self.children(span.span_context.span_id()).map(|child| self.nested(child)).collect();
        if below.is_empty() { span.name.to_string() } else { format!("{}({})", span.name, below.join(" ")) }
    }

    /// Everything: a line a span, attribute and event, attributes by name, times and lags left out.
    #[must_use]
    pub fn render(&self) -> String {
        let names: HashMap<_, _> =
            self.spans.iter().map(|span| (span.span_context.span_id(), span.name.to_string())).collect();
        let mut text = String::new();
        for root in self.roots() {
            self.draw(root, 0, &names, &mut text);
        }
        text
    }

    fn roots(&self) -> impl Iterator<Item = &SpanData> {
        self.spans
            .iter()
            .filter(|span| self.spans.iter().all(|other| other.span_context.span_id() != span.parent_span_id))
    }

    fn children(&self, parent: SpanId) -> impl Iterator<Item = &SpanData> {
        self.spans.iter().filter(move |span| span.parent_span_id == parent)
    }

    fn draw(&self, span: &SpanData, depth: usize, names: &HashMap<SpanId, String>, text: &mut String) {
        let indent = "  ".repeat(depth);
        let kind = match span.span_kind {
            SpanKind::Internal => "",
            SpanKind::Client => " CLIENT",
            SpanKind::Server => " SERVER",
            SpanKind::Producer => " PRODUCER",
            SpanKind::Consumer => " CONSUMER",
        };
        let status = match &span.status {
            Status::Unset => String::new(),
            Status::Ok => " ok".into(),
            Status::Error { description } if description.is_empty() => " ERROR".into(),
            Status::Error { description } => format!(" ERROR {description:?}"),
        };
        let _ = writeln!(text, "{indent}{}{kind}{status}", span.name);
        for link in &span.links.links {
            let to = names.get(&link.span_context.span_id()).map_or("?", String::as_str);
            let _ = writeln!(text, "{indent}  ~> {to} {}", self.attributes(&link.attributes).join(" "));
        }
        for line in self.attributes(&span.attributes) {
            let _ = writeln!(text, "{indent}  . {line}");
        }
        for event in &span.events.events {
            let _ = writeln!(text, "{indent}  ! {} {}", event.name, self.attributes(&event.attributes).join(" "));
        }
        for child in self.children(span.span_context.span_id()) {
            self.draw(child, depth + 1, names, text);
        }
    }

    fn attributes(&self, attributes: &[KeyValue]) -> Vec<String> {
        let mut lines: Vec<_> = attributes.iter().map(|attribute| self.attribute(attribute)).collect();
        lines.sort();
        lines
    }

    fn attribute(&self, attribute: &KeyValue) -> String {
        let value = match attribute.key.as_str() {
            "eventsource.event.recorded_at" => "{time}".to_owned(),
            "cqrs.projection.lag" => "{lag}".to_owned(),
            "eventsource.event.id" => "{event}".to_owned(),
            _ => attribute.value.to_string(),
        };
        let shown = self.replaced.iter().fold(value, |value, (from, to)| value.replace(from, to));
        format!("{}={shown}", attribute.key)
    }
}
