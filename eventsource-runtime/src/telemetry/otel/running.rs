//! A span around its body: attached while the body runs and while it is dropped, and ended after that.
//!
//! Nothing here is generic: generic code is in `run.rs` or in expansions, is compiled once per traced function, and
//! calls this.

use std::cell::RefCell;
use std::mem;
use std::thread;

use super::span::{Entered, Span};
use crate::telemetry::{Outcome, Values};

/// Determines what to record of a finished body. No closure trait, whose vtables are larger: each traced function has
/// one.
pub(super) trait Tells {
    fn tell(&mut self, outcome: &mut Outcome);
}

/// The span of a plain function, attached. If dropped before the body has left, it ends as in a panic.
#[derive(Debug)]
pub struct Running {
    entered: Entered,
    span: Span,
}

impl Running {
    /// Enters a span, if one has started.
    #[inline]
    #[must_use]
    pub fn new(span: Option<Span>) -> Self {
        Self::of(span.unwrap_or(Span::OFF))
    }

    #[inline]
    pub(super) fn of(span: Span) -> Self {
        Self { entered: span.enter(), span }
    }

    #[inline]
    pub(super) fn is_off(&self) -> bool {
        self.span.is_off()
    }

    /// The body is done. Returns whether anybody can see what would be recorded of it.
    fn left(&mut self) -> bool {
        self.entered = Entered::Nothing;
        self.span.is_recording()
    }

    /// Records attributes, if anybody can see them. What the body has borrowed is dropped in the span, later.
    pub fn record(&self, keys: &[&'static str], values: &mut dyn Values) {
        self.span.record(&mut |attributes| attributes.each(keys, values));
    }

    /// The body is done: its span ends. The span is detached meanwhile: an exporter that asks for the current one must
    /// not find it, since it is locked.
    pub(super) fn done(&mut self, body: &mut dyn Tells) {
        if self.left() {
            let mut outcome = Outcome::default();
            body.tell(&mut outcome);
            mem::replace(&mut self.span, Span::OFF).finish_telling(outcome);
        }
    }

    /// The body is done: its span ends without a status.
    pub(super) fn succeed(&mut self) {
        self.left();
        mem::replace(&mut self.span, Span::OFF).succeed();
    }
}

/// The span of a plain function whose value is not recorded: when dropped, it ends as done, or as in a panic.
#[derive(Debug)]
pub struct Held {
    running: Running,
    /// In a destructor it may run during somebody else's panic.
    is_in_panic: bool,
}

/// Enters a span, if one has started, until what this returns is dropped.
#[inline]
#[must_use]
pub fn held(span: Option<Span>) -> Option<Held> {
    span.map(|span| Held { running: Running::of(span), is_in_panic: thread::panicking() })
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_in_panic || !thread::panicking() {
            self.running.succeed();
        }
    }
}

/// In a field before a future's body, it keeps the span, which is attached in each poll. Dropped before the body, it
/// makes the body's destructors run in the span.
#[derive(Debug)]
pub(super) struct Before(pub(super) Option<Span>);

/// In a field after a future's body: ends the span of a body that was dropped before it was done, as cancelled, or as
/// in a panic.
#[derive(Debug)]
pub(super) struct After {
    pub(super) is_unfinished: bool,
}

impl Before {
    pub(super) fn enter(&self) -> Entered {
        match &self.0 {
            None => Entered::Nothing,
            Some(span) => span.enter(),
        }
    }

    /// The body is done: nothing of it is left to drop. Its span ends, without a status if nothing is told.
    pub(super) fn left(&mut self, after: &mut After, body: Option<&mut dyn Tells>) {
        after.is_unfinished = false;
        let Some(span) = self.0.take() else { return };
        let Some(body) = body else { return span.succeed() };
        if span.is_recording() {
            let mut outcome = Outcome::default();
            body.tell(&mut outcome);
            span.finish_telling(outcome);
        }
    }

    #[cold]
    fn enter_to_drop(&mut self) {
        let running = Running::new(self.0.take());
        // At the end of a thread there is no place for it any more: the span ends, and the body is dropped outside of
        // it.
        let _ = DROPPING.try_with(move |all| all.borrow_mut().push(running));
    }
}

impl Drop for Before {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.enter_to_drop();
        }
    }
}

impl Drop for After {
    #[inline]
    fn drop(&mut self) {
        if self.is_unfinished {
            abandon();
        }
    }
}

#[cold]
fn abandon() {
    // Dropped when nothing is borrowed: whoever is notified may drop futures as well.
    let innermost = DROPPING.try_with(|all| all.borrow_mut().pop());
    drop(innermost);
}

thread_local! {
    /// For the futures that this thread is dropping, the innermost last. A future is dropped on one thread from its
    /// first field to its last, so that these nest like calls.
    static DROPPING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;

    use super::*;

    fn dropped(span: Span, body: impl FnOnce()) {
        let (before, after) = (Before(Some(span)), After { is_unfinished: true });
        drop(before);
        body();
        drop(after);
    }

    #[test]
    fn what_is_dropped_leaves_nothing_behind_whether_its_span_is_off_or_not() {
        let context = Context::new().with_value(7_u32);
        dropped(Span::live(context, false), || {
            dropped(Span::MUTED, || assert_eq!(Context::current().get(), Some(&7_u32)));
            drop((Before(None), After { is_unfinished: false }));
            assert_eq!(Context::current().get(), Some(&7_u32));
        });
        assert_eq!(Context::current().get::<u32>(), None);
        DROPPING.with_borrow(|all| assert!(all.is_empty()));
    }
}
