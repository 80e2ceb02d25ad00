//! Runs a future or a stream in a context that outlives it: attached in each poll, and while its destructors run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

/// Where code can run: in a span, in a span's surroundings, or in a set-up of telemetry.
pub(super) trait Attach {
    /// Dropping it leaves the context.
    type Entered;

    fn enter(&self) -> Self::Entered;
}

pin_project! {
    /// A future or a stream that runs in a context, and is dropped there.
    pub(super) struct InContext<B, A: Attach> {
        #[pin]
        body: Option<B>,
        context: A,
    }

    impl<B, A: Attach> PinnedDrop for InContext<B, A> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // If cancelled, it may hold guards, whose work belongs there as well. One that is done holds nothing.
            if this.body.is_some() {
                let _entered = this.context.enter();
                this.body.set(None);
            }
        }
    }
}

impl<B, A: Attach> InContext<B, A> {
    pub(super) fn new(context: A, body: B) -> Self {
        Self { body: Some(body), context }
    }
}

impl<F: Future, A: Attach> Future for InContext<F, A> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Pending };
        let _entered = this.context.enter();
        let polled = body.poll(task);
        if polled.is_ready() {
            this.body.set(None);
        }
        polled
    }
}

impl<S: Stream, A: Attach> Stream for InContext<S, A> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let _entered = this.context.enter();
        body.poll_next(task)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.body.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}
