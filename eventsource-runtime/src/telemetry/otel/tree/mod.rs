//! The trace tree in the terminal: one indented line a span, with a bar that shows when in its trace it ran.
//!
//! `text` makes what spans carry harmless and short, `render` lays out one trace, `buffer` decides when it is printed, and
//! `writer` prints it.

mod buffer;
mod render;
#[cfg(test)]
pub(super) mod tests;
mod text;
mod writer;

use std::collections::HashMap;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

pub(super) use buffer::Console;
use render::Style;
#[cfg(feature = "view")]
pub(super) use text::is_inert;

/// The width where nothing says how wide the terminal is.
const WIDTH: usize = 100;

/// Spans as the tree that is printed in the terminal: for tests, and for exporters of one's own.
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

impl Default for TraceTree {
    fn default() -> Self {
        Self::new()
    }
}

impl TraceTree {
    /// 100 columns wide, without colours.
    #[must_use]
    pub fn new() -> Self {
        Self { style: Style { width: WIDTH, colour: false } }
    }

    /// Cuts lines at so many columns, 40 at least.
    #[must_use]
    pub fn width(mut self, columns: usize) -> Self {
        self.style.width = columns.max(40);
        self
    }

    /// Colours the lines with escape codes.
    #[must_use]
    pub fn coloured(mut self) -> Self {
        self.style.colour = true;
        self
    }

    /// Each trace below the other, in the order in which they began. Links name the span that they lead to where it is
    /// among them.
    #[must_use]
    pub fn render(&self, spans: &[SpanData]) -> String {
        let mut traces: Vec<Vec<SpanData>> = Vec::new();
        let mut place = HashMap::new();
        for span in spans {
            let at = *place.entry(span.span_context.trace_id()).or_insert_with(|| {
                traces.push(Vec::new());
                traces.len() - 1
            });
            traces[at].push(span.clone());
        }
        traces.sort_by_key(|spans| spans.iter().map(|span| span.start_time).min());
        let names: HashMap<SpanId, &str> =
            spans.iter().map(|span| (span.span_context.span_id(), span.name.as_ref())).collect();
        let resolve =
            |context: &opentelemetry::trace::SpanContext| names.get(&context.span_id()).map(|name| (*name).to_owned());
        traces.iter().map(|spans| render::trace(spans, &resolve, self.style)).collect()
    }
}
