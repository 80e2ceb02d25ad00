//! Runs a body in its span: attached while a closure runs, and in each poll of a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::bridge::{self, Bridged};
use super::error_text::records_error_text;
use super::in_context::{Attach, InContext};
use super::pipeline;
use super::running::{After, Before, Running, Tells};
use super::site::Site;
use super::span::{Entered, Span};
use super::start::{Owner, start};
use super::toggle;
use crate::telemetry::log::Failed;
use crate::telemetry::{By, Outcome, Teller, Values, log, names};

/// Makes a closure callable only once. Otherwise the compiler would generate a second one for that.
#[derive(Debug)]
pub struct Once;

/// The same for the body of a traced function, which may return borrows of what it owns.
#[inline(always)]
pub fn once<R, F: FnOnce() -> R>(body: F) -> F {
    body
}

/// Runs a traced function where spans may be on: separately from where they are off, so that nothing is left there of
/// what they need.
#[cold]
#[inline(never)]
pub fn apart<R>(function: impl FnOnce(bool) -> R) -> R {
    function(true)
}

impl Failed<'_> {
    /// Something in the current span, whose name is not at hand.
    pub(super) fn current(target: &'static str) -> Self {
        Self { span: None, ..Self::new(target, "") }
    }
}

impl Span {
    /// Ends the span, and logs a failure in it.
    #[inline]
    pub(super) fn finish_telling(self, mut outcome: Outcome) {
        if outcome.error_type.is_some() && !outcome.is_refusal {
            self.log_failure(&mut outcome);
        }
        self.finish(outcome);
    }

    #[cold]
    fn log_failure(&self, Outcome { error_type, error_text, .. }: &mut Outcome) {
        self.in_scope(|| {
            if error_text.is_some() && !records_error_text() {
                *error_text = None;
            }
            let (failed, error_type) = (Failed::current(names::LOG_SPAN), error_type.as_deref().unwrap_or_default());
            log::failure(failed, error_type, error_text.as_deref());
        });
    }
}

/// A body's return value, and what determines what to record of it.
struct Telling<'a, R, T>(&'a R, &'a mut T);

impl<R, T: Teller<R>> Tells for Telling<'_, R, T> {
    fn tell(&mut self, outcome: &mut Outcome) {
        self.1.tell(self.0, outcome);
    }
}

impl Running {
    /// The body is done: its span ends. What it returned passes through, so that only this has to drop it if recording
    /// it panics.
    #[inline]
    pub fn end<R>(mut self, returned: R, mut tell: impl Teller<R>) -> R {
        if !self.is_off() {
            self.done(&mut Telling(&returned, &mut tell));
        }
        returned
    }
}

/// The body of a plain function. No closure trait: each has more methods to compile.
pub trait Body<R> {
    /// Runs it, once.
    fn run(&self) -> R;
}

impl<R, F: FnOnce() -> R + Copy> Body<R> for F {
    fn run(&self) -> R {
        self()
    }
}

/// Runs the body of a plain function in its span, separately from where spans are off, so that nothing is left there of
/// what it needs. Compiled once for all bodies that return the same type.
#[cold]
#[inline(never)]
pub fn run<R, T: Teller<R>>(
    site: &'static Site,
    owner: Option<Owner>,
    values: &mut dyn Values,
    body: &dyn Body<R>,
    mut tell: T,
) -> R {
    let Some(span) = start(site, owner, values) else { return body.run() };
    let mut running = Running::of(span);
    let returned = body.run();
    if T::IS_SILENT {
        running.succeed();
    } else {
        running.done(&mut Telling(&returned, &mut tell));
    }
    returned
}

pin_project! {
    /// The body of a traced async function: its span is attached in each poll, and while it is dropped.
    pub struct Traced<F, T> {
        before: Before,
        #[pin]
        body: F,
        after: After,
        tell: T,
    }
}

/// Runs the body of a traced async function in its span; `tell` determines what to record of the value that it returns.
// Inlined even in unoptimized builds, and so is the poll: each has one of its own, and calls are more code.
#[inline(always)]
pub fn traced<F, T>(span: Option<Span>, body: F, tell: T) -> Traced<F, T>
where
    F: Future,
    T: Teller<F::Output>,
{
    Traced { before: Before(span), body, after: After { is_unfinished: true }, tell }
}

/// The same with a closure, whose arguments have the types that this gives them.
pub fn traced_by<F, T>(span: Option<Span>, body: F, tell: T) -> Traced<F, By<T>>
where
    F: Future,
    T: FnMut(&F::Output, &mut Outcome),
{
    traced(span, body, By(tell))
}

impl<F, T> Future for Traced<F, T>
where
    F: Future,
    T: Teller<F::Output>,
{
    type Output = F::Output;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll(this.before, this.body, this.after, this.tell, task)
    }
}

/// Compiled once for all bodies that return the same type.
fn poll<R, T: Teller<R>>(
    before: &mut Before,
    body: Pin<&mut dyn Future<Output = R>>,
    after: &mut After,
    tell: &mut T,
    task: &mut TaskContext<'_>,
) -> Poll<R> {
    let entered = before.enter();
    let polled = body.poll(task);
    drop(entered);
    if let Poll::Ready(returned) = &polled {
        if T::IS_SILENT {
            before.left(after, None);
        } else {
            before.left(after, Some(&mut Telling(returned, tell)));
        }
    }
    polled
}

impl<F, T> fmt::Debug for Traced<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traced").field(&self.before).finish()
    }
}

impl Span {
    /// Runs a future in the span, without ending it.
    pub(crate) fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<'_, F> {
        InContext::new(self, body)
    }
}

impl Attach for &Span {
    type Entered = Entered;

    #[inline]
    fn enter(&self) -> Entered {
        Span::enter(self)
    }
}

/// The surroundings of code that runs elsewhere on behalf of a span: on a writer thread, or in its own task.
///
/// It keeps the span's context, not the span: whoever started the span ends it.
#[derive(Clone, Debug)]
pub struct Scope {
    context: Option<opentelemetry::Context>,
    muted: bool,
}

impl Scope {
    /// The caller's scope.
    #[must_use]
    pub fn current() -> Self {
        let context = toggle::has_context().then(opentelemetry::Context::current);
        Self { context, muted: toggle::is_muted() }
    }

    /// Nothing of the caller's trace, but its pipeline: for background work.
    pub(crate) fn detached() -> Self {
        let root = || opentelemetry::Context::map_current(pipeline::root_of);
        Self { context: toggle::has_context().then(root), muted: false }
    }

    /// The same without spans: for maintenance.
    #[must_use]
    pub(crate) fn muted(self) -> Self {
        Self { muted: true, ..self }
    }

    /// Runs a closure in the scope.
    pub fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        body()
    }

    /// Runs a future in the scope: attached in each poll, and while the future is dropped.
    pub fn run<F: Future>(self, body: F) -> impl Future<Output = F::Output> {
        InContext::new(self, body)
    }
}

impl Attach for Scope {
    type Entered = (Option<opentelemetry::ContextGuard>, Option<Bridged>, Option<toggle::Mute>);

    fn enter(&self) -> Self::Entered {
        let context = self.context.as_ref().filter(|_| toggle::has_context());
        let bridged = context.map(bridge::enter);
        let attached = context.cloned().map(opentelemetry::Context::attach);
        (attached, bridged, self.muted.then(toggle::Mute::new))
    }
}

impl Span {
    /// The scope of the span's code; `muted` keeps the spans below it off, as in a batch that has one span in all.
    pub(crate) fn scope(&self, muted: bool) -> Scope {
        Scope { context: self.context().cloned(), muted: muted || self.is_muted() }
    }
}
