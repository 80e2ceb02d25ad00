//! What keeps a store of snapshots from doing harm: a limit of time, and the end of a panic.

use std::future::Future;
use std::time::Duration;

use crate::poll::caught;
use crate::store::StoreError;

/// How long a load waits for a snapshot before it replays every event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// What a future returns in time. Without a runtime of Tokio there is no clock to tell, and no limit.
pub(crate) async fn within<T>(
    patience: Duration,
    attempt: &'static str,
    call: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let call = caught(call);
    let called = if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::timeout(patience, call).await
    } else {
        Ok(call.await)
    };
    match called {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(StoreError::backend(attempt, "the store panicked")),
        Err(late) => Err(StoreError::backend(attempt, late)),
    }
}

#[cfg(test)]
mod tests {
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
}
