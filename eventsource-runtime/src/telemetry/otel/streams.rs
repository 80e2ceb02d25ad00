//! How a stream is polled in a scope, or in a span of its own.

use futures_core::Stream;

use super::cover::cover_stream;
use super::in_context::InContext;
use super::manual::ManualSpan;
use super::run::Scope;

impl Scope {
    /// Polls a stream in the scope, wherever it is polled, and drops it there.
    pub fn stream<S: Stream>(self, body: S) -> impl Stream<Item = S::Item> + use<S> {
        InContext::new(self, body)
    }
}

impl ManualSpan {
    /// Runs a stream in the span, which starts here, below the current span, and lasts until the stream is done or
    /// dropped. If it is dropped before it is done, the span ends as cancelled.
    ///
    /// ```
    /// # use eventsource_runtime::telemetry::span;
    /// use futures_util::{FutureExt, StreamExt, stream};
    ///
    /// let rows = span("import.rows").stream(stream::iter(1..=3));
    /// assert_eq!(rows.collect::<Vec<_>>().now_or_never(), Some(vec![1, 2, 3]));
    /// ```
    pub fn stream<S: Stream>(self, body: S) -> impl Stream<Item = S::Item> + use<S> {
        cover_stream(self.begin(), || body, |_: &S::Item, _| ())
    }
}
