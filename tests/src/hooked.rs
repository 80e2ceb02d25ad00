//! A store in memory that calls a hook with each answer, which may hold it up, or panic.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource_runtime::delegate;
use eventsource_runtime::projection::{Claim, DeadLetter, Lease, Letters, Partition, ProjectionError, ProjectionStore};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Memory, MemoryStore, NewEvent, Page, Position,
    StoreError, StreamId,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Where the feed ends.
    Head,
    /// A page of the feed: whether of all types of events, as timers ask, and whether there were some.
    Feed {
        /// Whether it was for all types of events.
        all_types: bool,
        /// Whether there were events.
        found: bool,
    },
    /// Dead letters, and whether there were some.
    Letters {
        /// Whether there were some.
        found: bool,
    },
    /// A lease, and under which token.
    Lease(Partition, Uuid),
    /// Before it is made: an append whose last event has this name.
    Append(&'static str),
}

type Hook = dyn Fn(Asked) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The store, and its hook.
#[derive(Clone)]
pub struct Hooked {
    store: MemoryStore,
    hook: Arc<Hook>,
}

impl Hooked {
    /// The same events as in `store`, seen through a hook.
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        store: &MemoryStore,
        hook: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { store: store.clone(), hook: Arc::new(move |asked| Box::pin(hook(asked))) }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

/// Where the first who comes waits.
#[derive(Debug, Default)]
pub struct Gate {
    is_used: AtomicBool,
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// Waits until it is opened, the first time.
    pub async fn pass(&self) {
        if !self.is_used.swap(true, Ordering::SeqCst) {
            self.reached.notify_one();
            self.opened.notified().await;
        }
    }

    /// Waits until somebody waits there.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets who waits there go on.
    pub fn open(&self) {
        self.opened.notify_one();
    }
}

/// It keeps no snapshots.
impl SnapshotStore for Hooked {}

impl EventStore for Hooked {
    delegate!(store: info fold read_stream changed);

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        if let Some(last) = events.last() {
            (self.hook)(Asked::Append(last.event_type)).await;
        }
        self.store.append(stream, expected, events).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head = self.store.head().await;
        (self.hook)(Asked::Head).await;
        head
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let page = self.store.read_all(after, filter, limit).await?;
        let all_types = filter.shows("of no type that there is", "Shipping");
        (self.hook)(Asked::Feed { all_types, found: !page.events.is_empty() }).await;
        Ok(page)
    }
}

impl ProjectionStore for Hooked {
    type Backend = Memory;

    delegate!(
        store: open_projection longest_batch apply_batch reset_projection settle_dead_letter open_aside swap_aside
    );

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        let token = claim.token;
        let lease = self.store.lease_projection(partition, claim).await;
        (self.hook)(Asked::Lease(partition, token)).await;
        lease
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let letters = self.store.dead_letters(projection, letters).await?;
        (self.hook)(Asked::Letters { found: !letters.is_empty() }).await;
        Ok(letters)
    }
}
