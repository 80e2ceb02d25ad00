//! Who holds up a batch.

use std::fmt;
use std::sync::Arc;

use crate::dispatch::BoxFuture;
use crate::sync::Mutex;

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Option<i64>> + Send + Sync>;

/// Who holds up a batch: filled by a store that can ask its server, and asked by whoever waits for the batch.
#[derive(Clone, Default)]
pub(crate) struct Blocking(Arc<Mutex<Option<Ask>>>);

impl Blocking {
    /// Sets how to ask. The answer must come in bounded time, and without the connection of the batch.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_told_by<F>(&self, ask: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Option<i64>> + Send + 'static,
    {
        *self.0.lock() = Some(Arc::new(move || Box::pin(ask())));
    }

    /// The server process whose transaction the batch waits for, if the store can tell, and there is one.
    pub(super) async fn pid(&self) -> Option<i64> {
        let ask = self.0.lock().clone()?;
        ask().await
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
