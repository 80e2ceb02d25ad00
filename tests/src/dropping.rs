//! Futures that are dropped where they wait.

use std::future::poll_fn;
use std::task::Poll;

/// Polls a future so many times, each time when it was woken. If it is still pending then, it is dropped within the
/// last poll, and the value is `None`.
pub fn dropped_after<F: Future>(polls: usize, future: F) -> impl Future<Output = Option<F::Output>> {
    let (mut left, mut future) = (polls, Some(Box::pin(future)));
    poll_fn(move |task| {
        if let Some(pending) = future.as_mut().filter(|_| left > 0) {
            left -= 1;
            match pending.as_mut().poll(task) {
                Poll::Ready(value) => return Poll::Ready(Some(value)),
                Poll::Pending if left > 0 => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        future = None;
        Poll::Ready(None)
    })
}
