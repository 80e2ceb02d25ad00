//! The tree of some spans, as far as a test asks for it.

use std::collections::HashMap;

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::expected::{Expected, KINDS};
use crate::testing::difference::common;

/// The spans as text, showing what `guide` mentions; without one, only names.
pub(super) fn render(spans: &[SpanData], guide: Option<&Expected>) -> String {
    let mut spans: Vec<_> = spans.iter().collect();
    spans.sort_by_key(|span| span.start_time);
    let names = spans.iter().map(|span| (span.span_context.span_id(), &*span.name)).collect();
    let tree = Tree { spans, names };
    let shown = tree.below(None, guide);
    Expected { children: shown, others: guide.is_some_and(|guide| guide.others), ..Expected::default() }.render()
}

struct Tree<'a> {
    spans: Vec<&'a SpanData>,
    names: HashMap<SpanId, &'a str>,
}

impl<'a> Tree<'a> {
    /// The spans below one, or those without a parent.
    fn children(&self, parent: Option<SpanId>) -> Vec<&'a SpanData> {
        let is_child = |span: &&&SpanData| match parent {
            Some(parent) => span.parent_span_id == parent,
            None => !self.names.contains_key(&span.parent_span_id),
        };
        self.spans.iter().filter(is_child).copied().collect()
    }

    fn below(&self, parent: Option<SpanId>, guide: Option<&Expected>) -> Vec<Expected> {
        let children = self.children(parent);
        let guides = guide.map_or(&[][..], |guide| &guide.children);
        let hides_others = guide.is_some_and(|guide| guide.others);
        let pairs = paired(&children, guides);
        let shown = children.into_iter().zip(pairs);
        shown
            .filter(|(_, guide)| guide.is_some() || !hides_others)
            .map(|(span, guide)| self.span(span, guide))
            .collect()
    }

    fn span(&self, span: &SpanData, guide: Option<&Expected>) -> Expected {
        let mut shown = Expected {
            name: span.name.to_string(),
            fails: matches!(span.status, Status::Error { .. }),
            children: self.below(Some(span.span_context.span_id()), guide),
            ..Expected::default()
        };
        let Some(guide) = guide else { return shown };
        shown.others = guide.others;
        shown.kind = guide.kind.map(|_| kind(&span.span_kind));
        shown.attributes = guide.attributes.iter().filter_map(|(key, wanted)| attribute(span, key, wanted)).collect();
        if !guide.links.is_empty() {
            let to = span.links.links.iter().map(|link| self.names.get(&link.span_context.span_id()).copied());
            shown.links = to.map(|name| name.unwrap_or("?").to_owned()).collect();
        }
        if !guide.events.is_empty() {
            shown.events = span.events.events.iter().map(|event| event.name.to_string()).collect();
        }
        shown
    }
}

/// For each span the line about it, if there is one: as many pairs as possible, in order.
fn paired<'g>(spans: &[&SpanData], guides: &'g [Expected]) -> Vec<Option<&'g Expected>> {
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    let wanted: Vec<_> = guides.iter().map(|guide| &*guide.name).collect();
    let common = common(&names, &wanted);
    let mut next = 0;
    let mut pairs = Vec::new();
    for (place, name) in names.iter().enumerate() {
        // A line is skipped as long as that costs no pair.
        while next < wanted.len() && wanted[next] != *name && common[place][next + 1] == common[place][next] {
            next += 1;
        }
        let is_pair = wanted.get(next) == Some(name);
        pairs.push(if is_pair { guides.get(next) } else { None });
        next += usize::from(is_pair);
    }
    pairs
}

/// The attribute of that key, in the words of the expectation if it matches. What was recorded twice is there twice,
/// and the last one counts.
fn attribute(span: &SpanData, key: &str, wanted: &str) -> Option<(String, String)> {
    let found = span.attributes.iter().rfind(|attribute| attribute.key.as_str() == key)?;
    let value = found.value.to_string();
    let shown = if matches(wanted, &value) { wanted.to_owned() } else { value };
    Some((key.to_owned(), shown))
}

/// Whether a text matches a pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text.trim(),
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| after.is_empty() || rest.char_indices().any(|(at, _)| matches(after, &rest[at..]))),
    }
}

fn kind(kind: &SpanKind) -> &'static str {
    let [internal, client, server, producer, consumer] = KINDS;
    match kind {
        SpanKind::Internal => internal,
        SpanKind::Client => client,
        SpanKind::Server => server,
        SpanKind::Producer => producer,
        SpanKind::Consumer => consumer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in
            [("*", ""), ("*", "a"), ("Order-*", "Order-7"), ("*-*", "a-b"), ("a", "a"), ("a*c*", "abcd")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("Order-*", "Account-7"), ("*b", "a"), ("a", "ab"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
