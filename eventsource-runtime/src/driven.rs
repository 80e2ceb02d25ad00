//! Work for many callers, of whom none has to drive it.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// The output of a future that a task in a runtime drives, whether or not the caller is polled meanwhile. It ends with
/// the caller.
pub(crate) async fn driven_by<F>(runtime: &Handle, body: impl Fn() -> F) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    // A set aborts its task when it is dropped.
    let mut task = JoinSet::new();
    task.spawn_on(body(), runtime);
    match task.join_next().await {
        Some(Ok(output)) => output,
        // The runtime has ended. What is made here serves its callers as long as this runtime lives.
        _ => body().await,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::sync::{Mutex, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_caller_that_is_not_polled_holds_nothing_for_longer_than_the_work_takes() {
        let shared = Arc::new(Mutex::new(0));
        let add = || {
            let shared = Arc::clone(&shared);
            async move {
                let mut sum = shared.lock().await;
                tokio::task::yield_now().await;
                *sum += 1;
                *sum
            }
        };
        let runtime = Handle::current();
        let mut first = pin!(driven_by(&runtime, add));
        assert_eq!(first.as_mut().now_or_never(), None);
        assert_eq!(driven_by(&runtime, add).await, 2);
        assert_eq!(first.await, 1);
    }

    #[tokio::test]
    async fn the_work_ends_with_its_caller_and_is_the_callers_where_the_runtime_has_ended() {
        let (held, dropped) = oneshot::channel::<()>();
        let (held, runtime) = (Arc::new(held), Handle::current());
        let work = driven_by(&runtime, move || {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        assert_eq!(work.now_or_never(), None);
        dropped.await.unwrap_err();
        let ended = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let runtime = ended.handle().clone();
        ended.shutdown_background();
        assert_eq!(driven_by(&runtime, || async { Handle::current().id() }).await, Handle::current().id());
    }
}
