//! Combinators for futures that run side by side.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Notify;

/// The output of a future, unless another one ends first.
pub(crate) async fn unless<F: Future>(end: impl Future<Output = ()>, body: F) -> Option<F::Output> {
    let (mut end, mut body) = (pin!(end), pin!(body));
    poll_fn(|task| match body.as_mut().poll(task) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => end.as_mut().poll(task).map(|()| None),
    })
    .await
}

/// The output of a future, which is polled only as long as another one has not ended.
pub(crate) async fn before<F: Future>(end: impl Future, body: F) -> Option<F::Output> {
    let (mut end, mut body) = (pin!(end), pin!(body));
    poll_fn(|task| match end.as_mut().poll(task) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => body.as_mut().poll(task).map(Some),
    })
    .await
}

/// The output of a future. While it is pending, another one is polled, whose end does not matter.
pub(crate) async fn beside<F: Future>(body: F, other: impl Future) -> F::Output {
    let (mut body, mut other) = (pin!(body), pin!(other));
    let mut goes_on = true;
    poll_fn(|task| {
        let polled = body.as_mut().poll(task);
        if polled.is_pending() && goes_on {
            goes_on = other.as_mut().poll(task).is_pending();
        }
        polled
    })
    .await
}

/// What `look` finds, at once or when the waiters are notified.
pub(crate) async fn told<T>(notify: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        // Before the look, so that nothing is missed between the two.
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}

/// The output of a future, or its panic; then it is not polled again.
pub(crate) async fn catch_panic<F: Future>(body: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut body = pin!(body);
    poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
