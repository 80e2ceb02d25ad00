//! The traces as one page of HTML: nothing to install, nothing to load, and nothing in a span can act in it.
//!
//! `data` turns spans into JSON, `page` puts that and the files of `page/` together, and `keeper` holds the spans until
//! they are written.

mod data;
mod keeper;
mod page;
#[cfg(test)]
mod tests;

use opentelemetry_sdk::trace::SpanData;

pub(super) use keeper::Keeper;

/// Spans as a page of HTML: a waterfall of every trace and of all that links to it, links as arrows, attributes on
/// click.
///
/// The page is one file that needs no network; it has keys for everything (`?` lists them), and a dark and a light
/// theme. What spans carry stays text: a content security policy allows only the page's own script and style, and
/// characters that control, reorder or hide are escaped.
///
/// ```
/// use eventsource_runtime::telemetry::TraceView;
///
/// let page = TraceView::new("orders").render(&[]);
/// assert!(page.starts_with("<!doctype html>"));
/// ```
#[derive(Clone, Debug)]
pub struct TraceView {
    title: String,
}

impl TraceView {
    /// A page with that title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into() }
    }

    /// Renders the page. It takes about 60 kB plus a few hundred bytes per span, and stays fast with tens of thousands
    /// of spans.
    #[must_use]
    pub fn render(&self, spans: &[SpanData]) -> String {
        self.page(spans, 0)
    }

    fn page(&self, spans: &[SpanData], left_out: u64) -> String {
        page::of(&self.title, &data::json(spans, left_out))
    }
}
