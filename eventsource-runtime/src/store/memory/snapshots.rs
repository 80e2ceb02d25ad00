//! Snapshots in memory, beside the events.

use std::collections::HashMap;

use super::Memory;
use crate::snapshot::{Restore, SnapshotStore, StoredSnapshot, of_history};
use crate::store::{EventStore, Fold, Folded, StoreError, StoreInfo, StreamId};
use crate::sync::Mutex;

/// The snapshot of each stream that has one.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<HashMap<StreamId, StoredSnapshot>>);

impl SnapshotStore for Memory {
    fn snapshots(&self) -> Option<StoreInfo> {
        Some(StoreInfo { collection: "snapshots", ..self.info() })
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        self.shared.snapshots.0.lock().insert(snapshot.stream.clone(), snapshot);
        Ok(())
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        Ok(self.shared.snapshots.0.lock().get(stream).cloned())
    }

    async fn snapshot_exists(&self, stream: &StreamId) -> Result<bool, StoreError> {
        Ok(self.shared.snapshots.0.lock().contains_key(stream))
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        Ok(self.shared.snapshots.0.lock().remove(stream).is_some())
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        let mut kept = self.shared.snapshots.0.lock();
        let before = kept.len();
        kept.retain(|stream, _| stream.aggregate_type() != aggregate_type);
        Ok((before - kept.len()) as u64)
    }

    async fn fold_from_snapshot<V: Restore>(&self, fold: Fold, mut visitor: V) -> Result<Folded<V>, StoreError> {
        let found = self.shared.snapshots.0.lock().get(&fold.stream).cloned();
        let after = visitor.restore(of_history(self, &fold.stream, found).await);
        self.fold(Fold { after, ..fold }, visitor).await
    }
}
