//! How a body runs in its span: attached while a closure runs, and in each poll of a future.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::bridge::{self, Bridged};
use super::pipeline;
use super::site::Site;
use super::span::Span;
use super::toggle;
use crate::telemetry::{Outcome, log};

/// Runs a traced function, in its span or as it is. Where spans may be on, that happens out of line.
#[inline(always)]
pub fn enter<R>(site: &Site, function: impl FnOnce(bool) -> R) -> R {
    if site.may_be_on() { enter_on(function) } else { function(false) }
}

#[cold]
#[inline(never)]
fn enter_on<R>(function: impl FnOnce(bool) -> R) -> R {
    function(true)
}

/// Runs the body of a traced function.
#[inline(always)]
pub fn sync<R>(span: Option<Span>, body: impl FnOnce() -> R, inspect: impl FnOnce(&R, &mut Outcome)) -> R {
    match span {
        None => body(),
        Some(span) => sync_on(span, body, inspect),
    }
}

#[inline(never)]
fn sync_on<R>(span: Span, body: impl FnOnce() -> R, inspect: impl FnOnce(&R, &mut Outcome)) -> R {
    let entered = span.enter();
    let returned = body();
    drop(entered);
    if span.is_recording() {
        let mut outcome = Outcome::default();
        inspect(&returned, &mut outcome);
        span.finish_telling(outcome);
    }
    returned
}

impl Span {
    /// Ends the span, and logs a failure in it.
    pub(super) fn finish_telling(self, outcome: Outcome) {
        if let Some(error_type) = &outcome.error_type {
            self.in_scope(|| log::failure(error_type));
        }
        self.finish(outcome);
    }
}

pin_project! {
    /// The body of a traced async function: attached in each poll, ended with the value or with the drop.
    pub struct Traced<F, I> {
        #[pin]
        body: Option<F>,
        inspect: Option<I>,
        // Ended in `drop` below: where it is off, nothing of it is left to drop.
        span: ManuallyDrop<Span>,
    }

    impl<F, I> PinnedDrop for Traced<F, I> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !this.span.is_off() {
                drop_on(this.span, this.body);
            }
        }
    }
}

#[cold]
#[inline(never)]
fn drop_on<F>(span: &mut Span, mut body: Pin<&mut Option<F>>) {
    let span = std::mem::replace(span, Span::OFF);
    // What the body's destructors do belongs to the span as well.
    let _entered = span.enter();
    body.set(None);
}

/// Runs the body of a traced async function.
#[inline(always)]
pub fn traced<F, R, I>(span: Span, body: F, inspect: I) -> Traced<F, I>
where
    F: Future<Output = R>,
    I: FnOnce(&R, &mut Outcome),
{
    Traced { body: Some(body), inspect: Some(inspect), span: ManuallyDrop::new(span) }
}

impl<F: Future, I: FnOnce(&F::Output, &mut Outcome)> Future for Traced<F, I> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Pending };
        if this.span.is_off() {
            return body.poll(task);
        }
        poll_on(this.span, body, this.inspect, task)
    }
}

#[inline(never)]
fn poll_on<F: Future, I: FnOnce(&F::Output, &mut Outcome)>(
    span: &mut Span,
    body: Pin<&mut F>,
    inspect: &mut Option<I>,
    task: &mut TaskContext<'_>,
) -> Poll<F::Output> {
    let entered = span.enter();
    let polled = body.poll(task);
    drop(entered);
    if let Poll::Ready(returned) = &polled {
        let span = std::mem::replace(span, Span::OFF);
        if span.is_recording()
            && let Some(inspect) = inspect.take()
        {
            let mut outcome = Outcome::default();
            inspect(returned, &mut outcome);
            span.finish_telling(outcome);
        }
    }
    polled
}

impl<F, I> fmt::Debug for Traced<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traced").field(&self.span).finish()
    }
}

pin_project! {
    /// Runs a future in a span that outlives it.
    pub(crate) struct InSpan<'a, F> {
        #[pin]
        body: F,
        span: &'a Span,
    }
}

impl Span {
    /// Runs a future in the span, without ending it.
    pub(crate) fn run<F: Future>(&self, body: F) -> InSpan<'_, F> {
        InSpan { body, span: self }
    }
}

impl<F: Future> Future for InSpan<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        this.body.poll(task)
    }
}

/// What surrounds code that runs elsewhere on behalf of a span: on a writer thread, or in a task of its own.
///
/// It keeps the span's context, not the span: the span is ended by whoever started it.
#[derive(Clone, Debug)]
pub struct Scope {
    context: Option<opentelemetry::Context>,
    muted: bool,
}

impl Scope {
    /// What surrounds the caller.
    #[must_use]
    pub fn current() -> Self {
        let context = toggle::has_context().then(opentelemetry::Context::current);
        Self { context, muted: toggle::is_muted() }
    }

    /// Nothing of the caller's trace, but its pipeline: for work in the background.
    pub(crate) fn detached() -> Self {
        let root = || opentelemetry::Context::map_current(pipeline::root_of);
        Self { context: toggle::has_context().then(root), muted: false }
    }

    /// The same without spans: for upkeep.
    #[must_use]
    pub(crate) fn muted(self) -> Self {
        Self { muted: true, ..self }
    }

    /// Runs a closure in the scope.
    pub fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        body()
    }

    /// Runs a future in the scope: attached in each poll.
    pub fn run<F: Future>(self, body: F) -> impl Future<Output = F::Output> {
        let mut body = Box::pin(body);
        std::future::poll_fn(move |task| self.in_scope(|| body.as_mut().poll(task)))
    }

    fn enter(&self) -> (Option<opentelemetry::ContextGuard>, Option<Bridged>, Option<toggle::Mute>) {
        let context = self.context.as_ref().filter(|_| toggle::has_context());
        let bridged = context.map(bridge::enter);
        let attached = context.cloned().map(opentelemetry::Context::attach);
        (attached, bridged, self.muted.then(toggle::Mute::new))
    }
}

impl Span {
    /// What surrounds the span's code; `muted` keeps the spans below it off, as in a batch that has one span in all.
    pub(crate) fn scope(&self, muted: bool) -> Scope {
        Scope { context: self.context().cloned(), muted: muted || self.is_muted() }
    }
}
