//! Panics of what runs in a projection's task.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use super::ProjectionError;

/// Turns a panic of a future into its error. The future is not polled again.
pub(crate) async fn caught<T>(
    body: impl Future<Output = Result<T, ProjectionError>> + Send,
) -> Result<T, ProjectionError> {
    let mut body = Box::pin(body);
    poll_fn(move |task| match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(ProjectionError::panicked(&*panic))),
    })
    .await
}
