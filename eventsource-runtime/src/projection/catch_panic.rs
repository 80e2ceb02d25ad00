//! Panics of what runs in a projection's task.

use std::future::Future;

use super::ProjectionError;
use crate::poll;

/// Turns a panic of a future into its error.
pub(crate) async fn catch_panic<T, E: From<ProjectionError>>(
    body: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    // Moved once: futures that hold steps are large.
    poll::catch_panic(Box::pin(body)).await.unwrap_or_else(|panic| Err(ProjectionError::panicked(&*panic).into()))
}
