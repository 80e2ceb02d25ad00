//! What is reported of a call that ends without an answer.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use super::guarded;

/// How a call is told whose body panicked.
pub(crate) const PANIC: &str = "panic";

/// A call without an answer yet. A panic, and a caller that drops the future, for instance because its time is over, go
/// past the usual end; then this calls a closure, with `panic` or `cancelled`.
pub(crate) struct Unanswered<F: FnMut(&'static str)> {
    tell: F,
    /// Whether it has the thread: a panic that finds it waiting is another's, such as of what is joined with it.
    runs: bool,
}

impl<F: FnMut(&'static str)> Unanswered<F> {
    /// A call that begins now.
    pub(crate) fn new(tell: F) -> Self {
        Self { tell, runs: true }
    }

    /// Runs what it waits for.
    pub(crate) fn run<B: Future>(&mut self, body: B) -> impl Future<Output = B::Output> + use<'_, F, B> {
        Polled { body, runs: &mut self.runs }
    }

    /// The call has its answer.
    pub(crate) fn answered(self) {
        mem::forget(self);
    }
}

impl<F: FnMut(&'static str)> Drop for Unanswered<F> {
    fn drop(&mut self) {
        let error_type = if self.runs && thread::panicking() { PANIC } else { "cancelled" };
        // A second panic in here would abort the process.
        guarded(|| (self.tell)(error_type));
    }
}

pin_project! {
    struct Polled<'a, B> {
        #[pin]
        body: B,
        runs: &'a mut bool,
    }
}

impl<B: Future> Future for Polled<'_, B> {
    type Output = B::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<B::Output> {
        let this = self.project();
        **this.runs = true;
        let polled = this.body.poll(task);
        **this.runs = polled.is_ready();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    /// What is told if a poll, or somebody between two of them, panics; nothing if neither does.
    fn told(polled: bool, panics: bool, body: impl Future<Output = ()>) -> Option<&'static str> {
        let mut told = None;
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let tell = |error_type| told = Some(error_type);
            let mut call = pin!(async move {
                let mut unanswered = Unanswered::new(tell);
                unanswered.run(body).await;
                unanswered.answered();
            });
            if polled {
                let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
            assert!(!panics, "beside it");
        }));
        told
    }

    /// One that waits was told as panicked.
    #[test]
    fn a_call_panics_only_if_it_does_so_itself() {
        assert_eq!(told(true, false, async { panic!("itself") }), Some(PANIC));
        assert_eq!(told(true, true, pending()), Some("cancelled"));
        assert_eq!(told(true, false, pending()), Some("cancelled"));
        assert_eq!(told(true, true, ready(())), None);
        assert_eq!(told(false, true, pending()), None, "it has not begun");
    }
}
