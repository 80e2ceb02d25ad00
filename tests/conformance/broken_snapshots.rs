//! The suite of snapshot stores notices what is wrong: for each case a store that fails it, and no other.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use eventsource_runtime::snapshot::{Restore, SnapshotStore, StoredSnapshot, WithSnapshots};
use eventsource_runtime::store::{
    EventStore, Fold, Folded, Memory, Position, StoreError, StoreInfo, StreamId, Version, Visitor,
};
use eventsource_runtime::testing::suite::snapshot_store as suite;
use eventsource_runtime::{EventRef, delegate};
use uuid::Uuid;

use super::broken::{each_case_notices, names};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    SaysNothing,
    DeletesWhatWasNeverSaved,
    LosesTheIdInTheEnd,
    KeepsText,
    RoundsNumbers,
    KeepsTheNewestSchema,
    IgnoresSpaces,
    DeletesAllOfTheType,
    DeletesByPrefix,
    NeverForgetsADelete,
    KeepsItsFirstSave,
    SavesInTwoSteps,
    IsOnlyHalfThere,
    TakesTheFirstForNone,
    IsSilentAboutEmptyStreams,
    TakesAnyHistory,
    ForgetsTheCommand,
    KeepsALock,
}

type Kept = HashMap<String, StoredSnapshot>;

struct Flawed {
    flaw: Flaw,
    kept: Arc<Mutex<Kept>>,
    /// What all clones share.
    shared: Arc<Mutex<Kept>>,
    deleted: Arc<Mutex<Vec<StreamId>>>,
    /// Whether anything was, and whether it was here.
    saved: Arc<AtomicBool>,
    saved_here: AtomicBool,
    /// How often each was read since it was saved.
    readings: Arc<Mutex<HashMap<String, usize>>>,
}

impl Flawed {
    fn with(flaw: Flaw) -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        Self {
            flaw,
            shared: Arc::clone(&kept),
            kept,
            deleted: Arc::default(),
            saved: Arc::default(),
            saved_here: AtomicBool::new(false),
            readings: Arc::default(),
        }
    }

    fn key(&self, stream: &StreamId) -> String {
        if self.flaw == Flaw::IgnoresSpaces { stream.as_str().trim_end().to_owned() } else { stream.to_string() }
    }

    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        with(&mut self.kept.lock().unwrap())
    }

    fn spoiled(&self, mut snapshot: StoredSnapshot) -> StoredSnapshot {
        match self.flaw {
            Flaw::KeepsText => snapshot.state = String::from_utf8_lossy(&snapshot.state).into_owned().into(),
            Flaw::RoundsNumbers => {
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is the flaw"
                )]
                let rounded = snapshot.last.position.get() as f64 as u64;
                snapshot.last.position = Position::new(rounded);
            }
            _ => {}
        }
        snapshot
    }
}

/// A save of which only the half is there when it is dropped.
struct Half {
    kept: Arc<Mutex<Kept>>,
    key: String,
    snapshot: Option<StoredSnapshot>,
}

impl Half {
    fn end(mut self) {
        self.snapshot = None;
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(mut half) = self.snapshot.take() {
            half.state = Vec::new().into();
            self.kept.lock().unwrap().insert(self.key.clone(), half);
        }
    }
}

impl Clone for Flawed {
    fn clone(&self) -> Self {
        let is_apart = self.flaw == Flaw::KeepsItsFirstSave;
        let apart = || Arc::new(Mutex::new(self.kept(|kept| kept.clone())));
        Self {
            flaw: self.flaw,
            kept: if is_apart { apart() } else { Arc::clone(&self.kept) },
            shared: Arc::clone(&self.shared),
            deleted: Arc::clone(&self.deleted),
            saved: Arc::clone(&self.saved),
            saved_here: AtomicBool::new(false),
            readings: Arc::clone(&self.readings),
        }
    }
}

impl SnapshotStore for Flawed {
    fn snapshots(&self) -> Option<StoreInfo> {
        (self.flaw != Flaw::SaysNothing).then(|| StoreInfo::in_process("snapshots"))
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        self.saved.store(true, Ordering::SeqCst);
        let key = self.key(&snapshot.stream);
        self.readings.lock().unwrap().remove(&key);
        let is_refused = match self.flaw {
            Flaw::KeepsTheNewestSchema => {
                self.kept(|kept| kept.get(&key).is_some_and(|known| known.schema.hash > snapshot.schema.hash))
            }
            Flaw::NeverForgetsADelete => self.deleted.lock().unwrap().contains(&snapshot.stream),
            _ => false,
        };
        if is_refused {
            return Ok(());
        }
        let snapshot = self.spoiled(snapshot);
        match self.flaw {
            Flaw::SavesInTwoSteps => {
                let mut mixed = snapshot.clone();
                self.kept(|kept| {
                    mixed.state = kept.get(&key).map_or(mixed.state, |known| known.state.clone());
                    kept.insert(key.clone(), mixed);
                });
                tokio::task::yield_now().await;
            }
            Flaw::IsOnlyHalfThere => {
                let half = Half { kept: Arc::clone(&self.kept), key: key.clone(), snapshot: Some(snapshot.clone()) };
                tokio::task::yield_now().await;
                half.end();
            }
            _ => {}
        }
        if self.saved_here.swap(true, Ordering::SeqCst) && self.flaw == Flaw::KeepsItsFirstSave {
            self.shared.lock().unwrap().insert(key.clone(), snapshot.clone());
        }
        self.kept(|kept| kept.insert(key, snapshot));
        Ok(())
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        let key = self.key(stream);
        let found = self.kept(|kept| kept.get(&key).cloned());
        let mut readings = self.readings.lock().unwrap();
        let count = readings.entry(key).or_default();
        *count += 1;
        // Looking whether there is one is a reading.
        let is_spoilt = self.flaw == Flaw::LosesTheIdInTheEnd && *count > 2;
        Ok(found.map(|mut snapshot| {
            snapshot.last.id = if is_spoilt { Uuid::nil() } else { snapshot.last.id };
            snapshot
        }))
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        self.deleted.lock().unwrap().push(stream.clone());
        let found = self.kept(|kept| kept.remove(&self.key(stream))).is_some();
        if self.flaw == Flaw::DeletesAllOfTheType {
            self.delete_snapshots(stream.aggregate_type()).await?;
        }
        Ok(found || self.flaw == Flaw::DeletesWhatWasNeverSaved && !self.saved.load(Ordering::SeqCst))
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        self.kept(|kept| {
            let before = kept.len();
            kept.retain(|_, known| match self.flaw {
                Flaw::DeletesByPrefix => !known.stream.as_str().starts_with(aggregate_type),
                _ => known.stream.aggregate_type() != aggregate_type,
            });
            Ok((before - kept.len()) as u64)
        })
    }
}

/// A store that keeps events as well, whose reading of the two may have a flaw.
#[derive(Clone)]
struct Both {
    flaw: Flaw,
    stores: WithSnapshots<Memory, Flawed>,
    readers: Arc<tokio::sync::Semaphore>,
}

impl Both {
    fn with(flaw: Flaw) -> Self {
        let stores = WithSnapshots::new(Memory::default(), Flawed::with(flaw));
        Self { flaw, stores, readers: Arc::new(tokio::sync::Semaphore::new(1)) }
    }
}

/// A visitor who is told less than there is to tell, or asks for more than there is to ask for.
struct Misled<V> {
    visitor: V,
    flaw: Flaw,
    is_empty: bool,
}

impl<V: Visitor> Visitor for Misled<V> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.visitor.visit(event)
    }
}

impl<V: Restore> Restore for Misled<V> {
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        if self.flaw == Flaw::IsSilentAboutEmptyStreams && self.is_empty {
            return Version::START;
        }
        let version = self.visitor.restore(found);
        let is_first = self.flaw == Flaw::TakesTheFirstForNone && version == Version::new(1);
        if is_first { Version::START } else { version }
    }
}

impl EventStore for Both {
    delegate!(stores: info append fold read_stream read_all head changed);
}

impl SnapshotStore for Both {
    fn snapshots(&self) -> Option<StoreInfo> {
        self.stores.snapshots()
    }

    fn save_snapshot(&self, snapshot: StoredSnapshot) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.stores.save_snapshot(snapshot)
    }

    fn latest_snapshot(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, StoreError>> + Send {
        self.stores.latest_snapshot(stream)
    }

    fn delete_snapshot(&self, stream: &StreamId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.stores.delete_snapshot(stream)
    }

    fn delete_snapshots(&self, aggregate_type: &str) -> impl Future<Output = Result<u64, StoreError>> + Send {
        self.stores.delete_snapshots(aggregate_type)
    }

    async fn fold_from_snapshot<V: Restore>(&self, fold: Fold, mut visitor: V) -> Result<Folded<V>, StoreError> {
        match self.flaw {
            Flaw::TakesAnyHistory => {
                let after = visitor.restore(self.latest_snapshot(&fold.stream).await);
                self.stores.fold(Fold { after, ..fold }, visitor).await
            }
            Flaw::TakesTheFirstForNone | Flaw::IsSilentAboutEmptyStreams => {
                let is_empty = self.read_stream(&fold.stream, Version::START, 1).await?.is_empty();
                let misled = Misled { visitor, flaw: self.flaw, is_empty };
                let folded = self.stores.fold_from_snapshot(fold, misled).await?;
                Ok(Folded::new(folded.visitor.visitor, folded.visited, folded.earlier))
            }
            Flaw::ForgetsTheCommand => {
                self.stores.fold_from_snapshot(Fold { first_event: None, ..fold }, visitor).await
            }
            Flaw::KeepsALock => {
                let taken = self.readers.try_acquire().map_err(|error| StoreError::backend("read", error))?;
                taken.forget();
                tokio::task::yield_now().await;
                self.readers.add_permits(1);
                self.stores.fold_from_snapshot(fold, visitor).await
            }
            _ => self.stores.fold_from_snapshot(fold, visitor).await,
        }
    }
}

eventsource_runtime::snapshot_store_suite!(without_a_flaw, || async { Both::with(Flaw::None) }, with_events);

each_case_notices! {
    suite, Both::with, [
        eventsource_runtime::snapshot_store_suite! { @cases [names] [] },
        eventsource_runtime::snapshot_store_suite! { @with_events [names] [] },
    ];
    says_that_it_keeps_snapshots: SaysNothing No,
    nothing_saved_is_nothing_found: DeletesWhatWasNeverSaved No,
    saved_snapshot_comes_back: LosesTheIdInTheEnd No,
    state_comes_back_byte_for_byte: KeepsText No,
    numbers_come_back_to_the_last_bit: RoundsNumbers No,
    last_saved_takes_the_place_of_the_one_before: KeepsTheNewestSchema No,
    streams_are_kept_apart: IgnoresSpaces No,
    deleted_snapshot_is_gone_and_the_others_are_not: DeletesAllOfTheType No,
    deleting_by_type_leaves_other_types: DeletesByPrefix No,
    what_was_deleted_can_be_saved_again: NeverForgetsADelete No,
    clones_share_what_is_kept: KeepsItsFirstSave No,
    saves_at_the_same_time_leave_one_whole: SavesInTwoSteps No,
    dropped_saves_leave_a_whole_or_nothing: IsOnlyHalfThere No,
    fold_begins_where_the_snapshot_ends: TakesTheFirstForNone No,
    fold_without_a_snapshot_shows_every_event: IsSilentAboutEmptyStreams No,
    fold_with_a_snapshot_of_another_history_shows_every_event: TakesAnyHistory No,
    fold_with_a_snapshot_finds_an_earlier_command: ForgetsTheCommand No,
    dropped_folds_leave_the_store_usable: KeepsALock No,
}
