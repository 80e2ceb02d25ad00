//! A store that fails, or dies, when it is told to, over a store in memory.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::delegate;
use eventsource_runtime::projection::{
    Applied, Batch, Claim, DeadLetter, Lease, LeaseLost, Letters, Partition, Projection, ProjectionError,
    ProjectionStore,
};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, Conflict, EventStore, ExpectedVersion, Filter, Fold, Folded, Memory, NewEvent, Page,
    Position, StoreError, StreamId, Version, Visitor,
};
use eventsource_runtime::telemetry::Scope;
use tokio::sync::watch;
use uuid::Uuid;

/// The store, and its faults.
#[derive(Clone, Debug, Default)]
pub struct Faulty {
    memory: Memory,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    reads: AtomicUsize,
    resets: AtomicUsize,
    answers: AtomicUsize,
    blamed: AtomicUsize,
    outpaced: AtomicUsize,
    refused: AtomicUsize,
    appends: AtomicUsize,
    shown: AtomicUsize,
    refuses: AtomicBool,
    batches: AtomicUsize,
    closed: AtomicBool,
    /// How many calls are left, doubled, and one more where the last of them has its effect; 0 for any number.
    life: AtomicUsize,
    dead: watch::Sender<bool>,
    /// What the delays follow from; 0 for none.
    delays: AtomicU64,
    /// Events of this type are refused for good.
    unwanted: Mutex<Option<&'static str>>,
    /// How many appends to streams of a type are yet to find that others were faster.
    overtaken: Mutex<(&'static str, usize)>,
    /// What the next listing of dead letters shows, whatever is there.
    listed: Mutex<Option<Vec<DeadLetter>>>,
}

impl Faulty {
    /// The next reads of the feed fail.
    pub fn fail_reads(&self, count: usize) {
        self.faults.reads.store(count, Ordering::SeqCst);
    }

    /// The next resets find that a lease was lost.
    pub fn lose_leases(&self, count: usize) {
        self.faults.resets.store(count, Ordering::SeqCst);
    }

    /// The next batches are applied, and reported as failed.
    pub fn lose_answers(&self, count: usize) {
        self.faults.answers.store(count, Ordering::SeqCst);
    }

    /// The next batches are applied, and reported as failed by their first event, as by one that is there already.
    pub fn blame_answers(&self, count: usize) {
        self.faults.blamed.store(count, Ordering::SeqCst);
    }

    /// The next batches fail by their first event, since another has the lease by then, for a moment.
    pub fn overtake(&self, count: usize) {
        self.faults.outpaced.store(count, Ordering::SeqCst);
    }

    /// The next batches, and listings of dead letters, are refused, as by a store in trouble.
    pub fn refuse(&self, count: usize) {
        self.faults.refused.store(count, Ordering::SeqCst);
    }

    /// The next appends fail, as those of a store in trouble.
    pub fn fail_appends(&self, count: usize) {
        self.faults.appends.store(count, Ordering::SeqCst);
    }

    /// Refuses events of a type for good, or takes all again.
    ///
    /// # Panics
    /// An append has panicked.
    pub fn refuse_appends_of(&self, event_type: Option<&'static str>) {
        *self.faults.unwanted.lock().expect("nobody panics here") = event_type;
    }

    /// The next appends to streams of an aggregate find that others were faster, each time.
    ///
    /// # Panics
    /// An append has panicked.
    pub fn overtake_appends_to(&self, aggregate_type: &'static str, count: usize) {
        *self.faults.overtaken.lock().expect("nobody panics here") = (aggregate_type, count);
    }

    /// How many of those appends are left.
    ///
    /// # Panics
    /// An append has panicked.
    #[must_use]
    pub fn to_be_overtaken(&self) -> usize {
        self.faults.overtaken.lock().expect("nobody panics here").1
    }

    fn is_overtaken(&self, stream: &StreamId) -> bool {
        let mut overtaken = self.faults.overtaken.lock().expect("nobody panics here");
        let is_overtaken = stream.aggregate_type() == overtaken.0 && overtaken.1 > 0;
        overtaken.1 -= usize::from(is_overtaken);
        is_overtaken
    }

    /// Everything about projections fails, or does not any more.
    pub fn refuse_all(&self, refuse: bool) {
        self.faults.refuses.store(refuse, Ordering::SeqCst);
    }

    /// How many events of the feed were shown.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.faults.shown.load(Ordering::SeqCst)
    }

    /// Batches end as those of a closed store.
    pub fn close(&self) {
        self.faults.closed.store(true, Ordering::SeqCst);
    }

    /// The process dies at a call from here, the first of which is 0: before it has its effect, or after, with its
    /// answer on the way. No call returns any more; drop whoever waits.
    pub fn die_at(&self, call: usize, with_effect: bool) {
        self.faults.life.store((call + 1) * 2 + usize::from(with_effect), Ordering::SeqCst);
    }

    /// Begins a new life on what the old one left.
    pub fn revive(&self) {
        self.faults.life.store(0, Ordering::SeqCst);
        self.faults.dead.send_replace(false);
    }

    /// Waits until the process has died.
    pub async fn death(&self) {
        let mut dead = self.faults.dead.subscribe();
        // The sender lives as long as this.
        let _ = dead.wait_for(|dead| *dead).await;
    }

    /// Every call takes up to a tenth of a second, by a seed; none for 0.
    pub fn slow_down(&self, seed: u64) {
        self.faults.delays.store(seed, Ordering::SeqCst);
    }

    /// The next listing of dead letters shows these, as one that was made before they were settled.
    ///
    /// # Panics
    /// A listing has panicked.
    pub fn list_once(&self, letters: Vec<DeadLetter>) {
        *self.faults.listed.lock().expect("nobody panics here") = Some(letters);
    }

    async fn call<T>(&self, body: impl Future<Output = T>) -> T {
        let faults = &self.faults;
        let seed = faults.delays.load(Ordering::SeqCst);
        if seed != 0 {
            let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 1;
            faults.delays.store(next, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis((next >> 33) % 100)).await;
        }
        if *faults.dead.borrow() {
            return std::future::pending().await;
        }
        let lived = faults.life.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |life| life.checked_sub(2));
        let Ok(life @ 2..=3) = lived else { return body.await };
        if life == 3 {
            body.await;
        }
        faults.dead.send_replace(true);
        std::future::pending().await
    }

    /// How many batches have begun.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.faults.batches.load(Ordering::SeqCst)
    }
}

/// Whether one was left to take.
pub(crate) fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// It keeps no snapshots.
impl SnapshotStore for Faulty {}

impl EventStore for Faulty {
    delegate!(memory: info read_stream head changed);

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let unwanted = *self.faults.unwanted.lock().expect("nobody panics here");
        if events.iter().any(|event| Some(event.event_type) == unwanted) {
            return Err(StoreError::refused("append events", "as it was told to").into());
        }
        if take(&self.faults.appends) {
            return Err(StoreError::backend("append events", "as it was told to").into());
        }
        if self.is_overtaken(stream) {
            return Err(Conflict::new(stream.clone(), expected, Version::new(u64::MAX)).into());
        }
        self.call(self.memory.append(stream, expected, events)).await
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        self.call(self.memory.fold(fold, visitor)).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        if take(&self.faults.reads) {
            return Err(StoreError::backend("read the feed", "as it was told to"));
        }
        let page = self.memory.read_all(after, filter, limit).await?;
        self.faults.shown.fetch_add(page.events.len(), Ordering::SeqCst);
        Ok(page)
    }
}

impl ProjectionStore for Faulty {
    type Backend = Memory;

    delegate!(memory: open_projection longest_batch settle_dead_letter open_aside swap_aside);

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        if self.faults.refuses.load(Ordering::SeqCst) {
            return Err(ProjectionError::store(StoreError::backend("lease a projection", "as it was told to")));
        }
        self.memory.lease_projection(partition, claim).await
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        self.faults.batches.fetch_add(1, Ordering::SeqCst);
        let is_refused =
            take(&self.faults.refused) || batch.events.is_empty() && self.faults.refuses.load(Ordering::SeqCst);
        if is_refused {
            return Err(ProjectionError::store(StoreError::backend("apply a batch", "as it was told to")));
        }
        let first = batch.events.first().cloned();
        let blamed = |faults| {
            let event = first.as_ref().filter(|_| take(faults))?;
            Some(ProjectionError::new("a row is there already").at(event))
        };
        if let Some(error) = blamed(&self.faults.outpaced) {
            let another = Claim::new(Uuid::now_v7(), "another", Duration::from_millis(50)).by_force();
            self.memory.lease_projection(batch.partition, another).await?;
            return Err(error);
        }
        let applied = self.call(self.memory.apply_batch(projection, batch, scope)).await?;
        if let Some(error) = blamed(&self.faults.blamed) {
            return Err(error);
        }
        if self.faults.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed.into());
        }
        if take(&self.faults.answers) { Err(ProjectionError::new("the answer was lost")) } else { Ok(applied) }
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        if take(&self.faults.resets) {
            return Err(LeaseLost::new(Partition::whole(projection.name())).into());
        }
        self.memory.reset_projection(projection, token).await
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        if take(&self.faults.refused) {
            return Err(ProjectionError::store(StoreError::backend("list dead letters", "as it was told to")));
        }
        if let Some(listed) = self.faults.listed.lock().expect("nobody panics here").take() {
            return Ok(listed);
        }
        self.memory.dead_letters(projection, letters).await
    }
}
