//! A store of snapshots alone, as a stranger would write it, that fails when it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventsource_runtime::snapshot::{SnapshotStore, StoredSnapshot};
use eventsource_runtime::store::{StoreError, StoreInfo, StreamId};
use tokio::sync::Semaphore;

/// What becomes of every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It is answered.
    #[default]
    None,
    /// It fails.
    Error,
    /// It is never answered.
    Hang,
    /// It panics.
    Panic,
}

/// The store, and its faults.
#[derive(Clone, Debug)]
pub struct FaultySnapshots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<HashMap<StreamId, StoredSnapshot>>,
    fault: Mutex<Fault>,
    calls: AtomicUsize,
    saving: AtomicUsize,
    most_saving: AtomicUsize,
    gate: Semaphore,
}

impl Default for FaultySnapshots {
    fn default() -> Self {
        Self(Arc::new(Shared {
            kept: Mutex::default(),
            fault: Mutex::default(),
            calls: AtomicUsize::new(0),
            saving: AtomicUsize::new(0),
            most_saving: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FaultySnapshots {
    /// From now on every call ends like this.
    pub fn fail(&self, fault: Fault) {
        *locked(&self.0.fault) = fault;
    }

    /// Every snapshot that is saved waits until it is let through.
    pub fn hold(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets so many through.
    pub fn let_through(&self, count: usize) {
        self.0.gate.add_permits(count);
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// How many snapshots are being saved, and how many were at the same time at most.
    #[must_use]
    pub fn saving(&self) -> (usize, usize) {
        (self.0.saving.load(Ordering::SeqCst), self.0.most_saving.load(Ordering::SeqCst))
    }

    /// Changes what is kept for a stream.
    pub fn tamper(&self, stream: &StreamId, change: impl FnOnce(&mut StoredSnapshot)) {
        if let Some(snapshot) = locked(&self.0.kept).get_mut(stream) {
            change(snapshot);
        }
    }

    async fn called(&self) -> Result<MutexGuard<'_, HashMap<StreamId, StoredSnapshot>>, StoreError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let fault = *locked(&self.0.fault);
        match fault {
            Fault::None => {}
            Fault::Error => return Err(StoreError::backend("keep a snapshot", "as it was told to")),
            Fault::Hang => std::future::pending().await,
            Fault::Panic => panic!("as it was told to"),
        }
        Ok(locked(&self.0.kept))
    }
}

/// Counts a save as long as it lives.
struct Saving<'a>(&'a Shared);

impl<'a> Saving<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let now = shared.saving.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_saving.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        self.0.saving.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SnapshotStore for FaultySnapshots {
    fn snapshots(&self) -> Option<StoreInfo> {
        Some(StoreInfo::database("other_sql", "states"))
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        let _saving = Saving::begin(&self.0);
        if let Ok(permit) = self.0.gate.acquire().await {
            permit.forget();
        }
        self.called().await?.insert(snapshot.stream.clone(), snapshot);
        Ok(())
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        Ok(self.called().await?.get(stream).cloned())
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        Ok(self.called().await?.remove(stream).is_some())
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        let mut kept = self.called().await?;
        let before = kept.len();
        kept.retain(|stream, _| stream.aggregate_type() != aggregate_type);
        Ok((before - kept.len()) as u64)
    }
}
