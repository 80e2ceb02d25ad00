//! A span around its body: attached while the body runs and while it is dropped, and ended after that.
//!
//! Nothing here is generic: what is stands in `run.rs` or in expansions, is compiled once for each traced function, and
//! calls this.

use std::cell::RefCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};

use super::span::{Entered, Span};
use crate::telemetry::{Ends, Outcome, Values};

/// The span of a plain function, attached. Dropped before the body has left, it ends as in a panic.
pub struct Running {
    entered: Entered,
    span: Span,
}

impl Running {
    /// Enters a span that has started.
    #[must_use]
    pub fn new(span: Span) -> Self {
        Self { entered: span.enter(), span }
    }
}

impl Ends for Running {
    fn left(&mut self) -> bool {
        self.entered = Entered::Nothing;
        is_told(&mut self.span)
    }

    fn record(&mut self, keys: &[&'static str], values: &mut dyn Values) {
        if self.left() {
            record(&self.span, keys, values);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        end(&mut self.span, outcome);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.span).finish()
    }
}

/// The span of an async function, which is attached in each poll of its body. Dropped before the body is done, it ends as
/// cancelled, or as in a panic.
#[derive(Debug)]
pub struct Polling {
    // Ended in `drop` below: where it is off, nothing of it is left to drop.
    span: ManuallyDrop<Span>,
    /// Whether the body is being dropped, which began with entering the span.
    is_dropping: bool,
}

impl Polling {
    /// Keeps a span that has started.
    #[must_use]
    pub fn new(span: Span) -> Self {
        Self { span: ManuallyDrop::new(span), is_dropping: false }
    }

    #[cold]
    fn enter_to_drop(&mut self) {
        let entered = self.span.enter();
        // At the end of a thread there is no place for it any more, and the body is dropped outside of its span.
        self.is_dropping = DROPPING.try_with(move |all| all.borrow_mut().push(entered)).is_ok();
    }

    #[cold]
    fn abandon(&mut self) {
        if self.is_dropping {
            // Dropped when nothing is borrowed: whoever hears of it may drop futures as well.
            let innermost = DROPPING.try_with(|all| all.borrow_mut().pop());
            drop(innermost);
        }
        drop(mem::replace(&mut *self.span, Span::OFF));
    }
}

thread_local! {
    /// For the futures that this thread is dropping, the innermost last. A future is dropped on one thread from its first
    /// field to its last, so that these come and go like calls.
    static DROPPING: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Polling {
    #[inline]
    fn drop(&mut self) {
        if self.is_dropping || !self.span.is_off() {
            self.abandon();
        }
    }
}

/// In a field before a future's body: dropped before it, it leaves the body's destructors in the span.
#[derive(Debug)]
pub(super) struct Before<'a>(pub(super) Option<&'a mut Polling>);

impl Before<'_> {
    #[inline]
    pub(super) fn enter(&self) -> Entered {
        match &self.0 {
            None => Entered::Nothing,
            Some(polling) => polling.span.enter(),
        }
    }
}

impl Drop for Before<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(polling) = &mut self.0 {
            polling.enter_to_drop();
        }
    }
}

impl Ends for Polling {
    fn left(&mut self) -> bool {
        is_told(&mut self.span)
    }

    fn record(&mut self, keys: &[&'static str], values: &mut dyn Values) {
        if self.left() {
            record(&self.span, keys, values);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        end(&mut self.span, outcome);
    }
}

/// Whether anybody can see what is told of a body that is done; its span is ended otherwise.
fn is_told(span: &mut Span) -> bool {
    let is_told = span.is_recording();
    if !is_told {
        *span = Span::OFF;
    }
    is_told
}

fn record(span: &Span, keys: &[&'static str], values: &mut dyn Values) {
    span.record(&mut |attributes| attributes.each(keys, values));
}

fn end(span: &mut Span, outcome: Outcome) {
    mem::replace(span, Span::OFF).finish_telling(outcome);
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;

    use super::*;

    fn dropped(span: Span, body: impl FnOnce()) {
        let mut polling = Polling::new(span);
        drop(Before(Some(&mut polling)));
        body();
        drop(polling);
    }

    #[test]
    fn what_is_dropped_leaves_nothing_behind_whether_its_span_is_off_or_not() {
        let context = Context::new().with_value(7_u32);
        dropped(Span::live(context, false), || {
            dropped(Span::OFF, || assert_eq!(Context::current().get(), Some(&7_u32)));
            dropped(Span::MUTED, || ());
            assert_eq!(Context::current().get(), Some(&7_u32));
        });
        assert_eq!(Context::current().get::<u32>(), None);
        DROPPING.with_borrow(|all| assert!(all.is_empty()));
    }
}
