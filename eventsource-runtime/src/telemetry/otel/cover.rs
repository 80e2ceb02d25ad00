//! A span that covers the life of a future or a stream that a plain function returns.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::thread;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::span::{Entered, Span};
use super::toggle;
use crate::telemetry::Outcome;

/// Determines how a future ended, or what an item of a stream says. Not a capturing closure, which would be a part of
/// the type that the function returns.
type Inspect<T> = fn(&T, &mut Outcome);

/// What a body yields. That type is no parameter of what covers the body: `impl Future<Output = T> + 'static` does not
/// require `T` to live that long, and a parameter would.
pub trait Yields<B> {
    /// What is inspected.
    type Value;
}

/// A future's output.
#[derive(Debug)]
pub struct AFuture;

impl<F: Future> Yields<F> for AFuture {
    type Value = F::Output;
}

/// A stream's items.
#[derive(Debug)]
pub struct AStream;

impl<S: Stream> Yields<S> for AStream {
    type Value = S::Item;
}

pin_project! {
    /// What a function returned, and the span that covers it: attached in each poll, ended with the last value or on
    /// drop.
    pub struct InSpan<B, Y: Yields<B>> {
        #[pin]
        body: Option<B>,
        inspect: Inspect<Y::Value>,
        span: Option<Span>,
        outcome: Outcome,
    }

    impl<B, Y: Yields<B>> PinnedDrop for InSpan<B, Y> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let span = this.span.take();
            {
                // What the body's destructors do belongs to the span as well.
                let _entered = span.as_ref().map(Span::enter);
                this.body.set(None);
            }
            // Whoever drops a stream at its first failure has seen all that it had to say. In a panic, and at the end
            // of a thread, the span's own drop knows better.
            if let Some(span) = span
                && this.outcome.error_type.is_some()
                && !thread::panicking()
                && toggle::has_context()
            {
                span.finish_telling(mem::take(this.outcome));
            }
        }
    }
}

impl<B, Y: Yields<B>> InSpan<B, Y> {
    fn new(span: Option<Span>, body: impl FnOnce() -> B, inspect: Inspect<Y::Value>) -> Self {
        let body = match &span {
            None => body(),
            Some(span) => span.in_scope(body),
        };
        Self { body: Some(body), inspect, span, outcome: Outcome::default() }
    }
}

/// A span around a poll. If the poll panics and somebody catches that, the later drop cannot tell. So the span ends
/// here, as in a panic.
struct Polling<'a> {
    span: &'a mut Option<Span>,
    entered: Option<Entered>,
}

impl Polling<'_> {
    fn done(mut self) {
        self.entered = None;
        mem::forget(self);
    }
}

/// Only in unwinding: otherwise the poll is done.
impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.entered = None;
        *self.span = None;
    }
}

fn within<P>(span: &mut Option<Span>, poll: impl FnOnce() -> P) -> P {
    let polling = Polling { entered: span.as_ref().map(Span::enter), span };
    let polled = poll();
    polling.done();
    polled
}

impl<F: Future> Future for InSpan<F, AFuture> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Pending };
        let polled = within(this.span, || body.poll(task));
        if let Poll::Ready(returned) = &polled
            && let Some(span) = this.span.take()
        {
            if span.is_recording() {
                (this.inspect)(returned, this.outcome);
            }
            span.finish_telling(mem::take(this.outcome));
        }
        polled
    }
}

impl<S: Stream> Stream for InSpan<S, AStream> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let polled = within(this.span, || body.poll_next(task));
        match &polled {
            Poll::Pending => (),
            // The first failure is recorded; later ones may only be its consequence, as they cannot be of a refusal.
            Poll::Ready(Some(item)) => {
                let has_failed = this.outcome.error_type.is_some() && !this.outcome.is_refusal;
                if !has_failed && this.span.as_ref().is_some_and(Span::is_recording) {
                    (this.inspect)(item, this.outcome);
                }
            }
            Poll::Ready(None) => {
                if let Some(span) = this.span.take() {
                    span.finish_telling(mem::take(this.outcome));
                }
            }
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.body.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<B, Y: Yields<B>> fmt::Debug for InSpan<B, Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InSpan").field(&self.span).finish()
    }
}

/// Covers a future that the function does not name.
pub fn cover_future<T, F, B>(span: Option<Span>, body: B, inspect: Inspect<T>) -> InSpan<F, AFuture>
where
    F: Future<Output = T>,
    B: FnOnce() -> F,
{
    InSpan::new(span, body, inspect)
}

/// Covers a stream that the function does not name.
pub fn cover_stream<T, S, B>(span: Option<Span>, body: B, inspect: Inspect<T>) -> InSpan<S, AStream>
where
    S: Stream<Item = T>,
    B: FnOnce() -> S,
{
    InSpan::new(span, body, inspect)
}

/// A future that a span can cover within its type: a boxed one.
#[diagnostic::on_unimplemented(
    message = "a span cannot cover the life of `{Self}`",
    label = "not a boxed future",
    note = "return `Pin<Box<dyn Future<..>>>` or `impl Future<..>`, or write `covers = call` for a span of the call alone"
)]
pub trait BoxedFuture: Sized {
    /// What it ends with. It need not be a `Future` here: the box says so, and one error is enough.
    type Output;

    /// Covers it.
    fn cover_future(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<Self::Output>) -> Self;
}

/// A stream that a span can cover within its type: a boxed one.
#[diagnostic::on_unimplemented(
    message = "a span cannot cover the life of `{Self}`",
    label = "not a boxed stream",
    note = "return `Pin<Box<dyn Stream<..>>>` or `impl Stream<..>`, or write `covers = call` for a span of the call alone"
)]
pub trait BoxedStream: Sized {
    /// What it yields.
    type Item;

    /// Covers it.
    fn cover_stream(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<Self::Item>) -> Self;
}

macro_rules! boxed {
    ($($bound:ident)*) => {
        impl<'a, T: 'a> BoxedFuture for Pin<Box<dyn Future<Output = T> $(+ $bound)* + 'a>> {
            type Output = T;

            fn cover_future(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<T>) -> Self {
                if span.is_none() { body() } else { Box::pin(InSpan::<_, AFuture>::new(span, body, inspect)) }
            }
        }

        impl<'a, T: 'a> BoxedStream for Pin<Box<dyn Stream<Item = T> $(+ $bound)* + 'a>> {
            type Item = T;

            fn cover_stream(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<T>) -> Self {
                if span.is_none() { body() } else { Box::pin(InSpan::<_, AStream>::new(span, body, inspect)) }
            }
        }
    };
}
boxed!();
boxed!(Send);
boxed!(Sync);
boxed!(Send Sync);
boxed!(Unpin);
boxed!(Send Unpin);
boxed!(Sync Unpin);
boxed!(Send Sync Unpin);

/// Boxes of what may be moved need no pin.
macro_rules! movable {
    ($($bound:ident)*) => {
        impl<'a, T: 'a> BoxedFuture for Box<dyn Future<Output = T> + Unpin $(+ $bound)* + 'a> {
            type Output = T;

            fn cover_future(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<T>) -> Self {
                if span.is_none() {
                    return body();
                }
                Box::new(InSpan::<_, AFuture>::new(span, || Pin::new(body()), inspect))
            }
        }

        impl<'a, T: 'a> BoxedStream for Box<dyn Stream<Item = T> + Unpin $(+ $bound)* + 'a> {
            type Item = T;

            fn cover_stream(span: Option<Span>, body: impl FnOnce() -> Self, inspect: Inspect<T>) -> Self {
                if span.is_none() {
                    return body();
                }
                // Pinned: whether a bare box is a stream depends on a feature of `futures-core`.
                Box::new(InSpan::<_, AStream>::new(span, || Pin::new(body()), inspect))
            }
        }
    };
}
movable!();
movable!(Send);
movable!(Sync);
movable!(Send Sync);
