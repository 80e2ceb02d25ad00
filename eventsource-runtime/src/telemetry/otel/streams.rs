//! How a stream is polled in a scope, or in a span of its own.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::cover::cover_stream;
use super::manual::ManualSpan;
use super::run::Scope;

pin_project! {
    struct InScope<S> {
        #[pin]
        body: Option<S>,
        scope: Scope,
    }

    impl<S> PinnedDrop for InScope<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the body's destructors do belongs there as well.
            this.scope.in_scope(|| this.body.set(None));
        }
    }
}

impl<S: Stream> Stream for InScope<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        this.scope.in_scope(|| body.poll_next(task))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.body.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl Scope {
    /// Polls a stream in the scope, wherever it is polled, and drops it there.
    pub fn stream<S: Stream>(self, body: S) -> impl Stream<Item = S::Item> + use<S> {
        InScope { body: Some(body), scope: self }
    }
}

impl ManualSpan {
    /// Runs a stream in the span: it starts here, below the current span, and lasts until the stream is done or dropped.
    /// One that is dropped before it is done ends the span as cancelled.
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
