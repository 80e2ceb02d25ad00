//! Protection from a faulty snapshot store: a time limit, and caught panics.

use std::future::Future;
use std::time::Duration;

use crate::poll::catch_panic;
use crate::store::StoreError;
use crate::timer;

/// How long a load waits for a snapshot before it replays every event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The output of a future that is ready in time. Without a timer there is no limit.
pub(crate) async fn within<T>(
    patience: Duration,
    attempt: &'static str,
    call: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let call = catch_panic(call);
    let called = if timer::is_there() { tokio::time::timeout(patience, call).await } else { Ok(call.await) };
    match called {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(StoreError::backend(attempt, "the store panicked")),
        Err(late) => Err(StoreError::backend(attempt, late)),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    async fn asked(call: impl Future<Output = Result<u8, StoreError>> + Send) -> Result<u8, StoreError> {
        within(PATIENCE, "read a snapshot", call).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_or_panics_is_an_error() {
        assert!(matches!(asked(async { Ok(7) }).await, Ok(7)));
        assert!(matches!(asked(std::future::pending()).await, Err(StoreError::Backend { .. })));
        assert!(matches!(asked(async { panic!("as it was told to") }).await, Err(StoreError::Backend { .. })));
    }

    /// It panicked in a runtime without a timer.
    #[test]
    fn without_a_timer_there_is_no_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(matches!(runtime.block_on(asked(async { Ok(7) })), Ok(7)));
        let elsewhere = pin!(asked(async { Ok(7) })).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(elsewhere, Poll::Ready(Ok(7))));
    }
}
