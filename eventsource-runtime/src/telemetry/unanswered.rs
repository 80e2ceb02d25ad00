//! What is reported of a call that ends without an answer.

use std::{mem, thread};

use super::guarded;

/// How a call is told whose body panicked.
pub(crate) const PANIC: &str = "panic";

/// A call without an answer yet. A panic, and a caller that drops the future, for instance because its time is over, go
/// past the usual end; then this calls a closure, with `panic` or `cancelled`, as the call's span ends.
pub(crate) struct Unanswered<F: FnMut(&'static str)>(F);

impl<F: FnMut(&'static str)> Unanswered<F> {
    /// A call that begins now.
    pub(crate) fn new(tell: F) -> Self {
        Self(tell)
    }

    /// The call has its answer.
    pub(crate) fn answered(self) {
        mem::forget(self);
    }
}

impl<F: FnMut(&'static str)> Drop for Unanswered<F> {
    fn drop(&mut self) {
        tell_dropped(&mut self.0);
    }
}

/// Calls it where a call is dropped that has no answer, with `panic` or `cancelled`.
pub(crate) fn tell_dropped(tell: impl FnOnce(&'static str)) {
    let error_type = if thread::panicking() { PANIC } else { "cancelled" };
    // A second panic in here would abort the process.
    guarded(|| tell(error_type));
}
