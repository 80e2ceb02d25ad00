//! The trace tree in the terminal: one indented line per span, with a bar that shows when in its trace it ran.
//!
//! `text` makes what spans carry harmless and short, `order` groups the traces, `render` lays out one of them, `buffer`
//! decides when it is printed, and `writer` prints it.

mod buffer;
mod order;
mod render;
#[cfg(test)]
pub(super) mod tests;
mod text;
mod writer;

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId};
use opentelemetry_sdk::trace::SpanData;

pub(super) use buffer::Console;
use render::Style;
pub(super) use text::is_inert;
pub(super) use writer::Writer;

/// The width if that of the terminal is unknown.
const WIDTH: usize = 100;
/// From when on a span is slow by itself, by default.
pub(super) const SLOW: Duration = Duration::from_millis(100);

/// Spans as the tree that is printed in the terminal: for tests, and for your own exporters.
///
/// ```
/// use eventsource_runtime::telemetry::TraceTree;
///
/// assert_eq!(TraceTree::new().width(80).render(&[]), "");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TraceTree {
    style: Style,
}

/// A width with room for a line, and that can be reckoned with.
fn columns(wanted: usize) -> usize {
    wanted.clamp(40, 10_000)
}

impl Default for TraceTree {
    fn default() -> Self {
        Self::new()
    }
}

impl TraceTree {
    /// 100 columns wide, without colors; what takes 100 milliseconds is slow.
    #[must_use]
    pub fn new() -> Self {
        Self { style: Style { width: WIDTH, color: false, slow: SLOW } }
    }

    /// Marks spans that took this long by themselves, without what ran below them.
    #[must_use]
    pub fn slow(mut self, from: Duration) -> Self {
        self.style.slow = from;
        self
    }

    /// Cuts lines at this many columns, from 40 to 10,000.
    #[must_use]
    pub fn width(mut self, columns: usize) -> Self {
        self.style.width = self::columns(columns);
        self
    }

    /// Colors the lines with escape codes.
    #[must_use]
    pub fn colored(mut self) -> Self {
        self.style.color = true;
        self
    }

    /// Renders the traces in the order in which they began; one that links to another comes right after it. Links name
    /// the span that they lead to if it is among them.
    #[must_use]
    pub fn render(&self, spans: &[SpanData]) -> String {
        let names: HashMap<SpanId, &str> =
            spans.iter().map(|span| (span.span_context.span_id(), span.name.as_ref())).collect();
        let resolve = |context: &SpanContext| names.get(&context.span_id()).map(|name| (*name).to_owned());
        order::grouped(spans).iter().map(|spans| render::trace(spans, &resolve, self.style)).collect()
    }
}
