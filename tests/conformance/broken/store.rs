//! A store with one defect, over a right one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventsource_runtime::StoredEvent;
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, MAX_STREAM_ID, Memory, NewEvent, Page,
    Position, StoreError, StoreInfo, StreamId, Version, Visitor,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::defect::Defect;

#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) memory: Memory,
    pub(super) defect: Defect,
    pub(super) state: Arc<State>,
}

/// What some of the defects have to remember.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) under_way: AtomicUsize,
    /// How many appends are still to fail for the conflict of another.
    pub(super) spoilt: AtomicUsize,
    refusals: AtomicU64,
    pub(super) open_transaction: AtomicBool,
    pub(super) one: Notify,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) refused: HashSet<Uuid>,
    pub(super) being_made: HashSet<Uuid>,
    pub(super) times: HashMap<Uuid, Timestamp>,
    pub(super) ends: HashMap<StreamId, Version>,
}

impl State {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broken {
    pub(super) fn new(defect: Defect) -> Self {
        Self { memory: Memory::default(), defect, state: Arc::default() }
    }

    /// The stream as the store understands the id.
    pub(super) fn stream(&self, stream: &StreamId) -> StreamId {
        match self.defect {
            Defect::IdsAreTrimmed => StreamId::new(stream.aggregate_type(), stream.aggregate_id().trim_end()),
            Defect::NulIsLeftOut => StreamId::new(stream.aggregate_type(), stream.aggregate_id().replace('\0', "")),
            Defect::UntypedIsNamed if stream.aggregate_type().is_empty() => {
                StreamId::new("Untyped", stream.aggregate_id())
            }
            Defect::HyphenIsLeftOut => StreamId::new(&stream.aggregate_type().replace('-', ""), stream.aggregate_id()),
            Defect::LongIdIsCut if stream.as_str().len() > MAX_STREAM_ID => {
                let room = MAX_STREAM_ID - stream.aggregate_type().len() - 1;
                StreamId::new(stream.aggregate_type(), &stream.aggregate_id()[..room])
            }
            Defect::TypesShareIds if stream.aggregate_type() == "Invoice" => {
                StreamId::new("Order", stream.aggregate_id())
            }
            _ => stream.clone(),
        }
    }

    /// Where a stream stands.
    pub(super) async fn stands(&self, stream: &StreamId) -> Appended {
        let nothing = self.memory.append(stream, ExpectedVersion::Any, Vec::new()).await;
        nothing.expect("the memory store takes nothing from anybody")
    }

    /// All events of all streams.
    pub(super) async fn all(&self) -> Vec<StoredEvent> {
        let page = self.memory.read_all(Position::START, &Filter::all(), usize::MAX).await;
        page.map(|page| page.events).unwrap_or_default()
    }
}

impl EventStore for Broken {
    fn info(&self) -> StoreInfo {
        StoreInfo::in_process("broken")
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let stream = self.stream(stream);
        let result = if AppendError::check(&stream, &[]).is_err() {
            // Refused before there is anything to do badly.
            self.memory.append(&stream, expected, events).await
        } else {
            self.append_badly(&stream, expected, events).await
        };
        self.state.refusals.fetch_add(u64::from(result.is_err()), Ordering::SeqCst);
        result
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        self.fold_badly(Fold { stream: self.stream(&fold.stream), ..fold }, visitor).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.read_stream_badly(&self.stream(stream), after, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        self.read_all_badly(after, filter, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head = self.memory.head().await?;
        Ok(match self.defect {
            Defect::EmptyHeadIsOne => head.max(Position::new(1)),
            Defect::HeadIsOneBehind => Position::new(head.get().saturating_sub(1)),
            Defect::HeadCountsRefusals => Position::new(head.get() + self.state.refusals.load(Ordering::SeqCst)),
            Defect::HeadCountsWhatIsUnderWay => {
                Position::new(head.get() + self.state.under_way.load(Ordering::SeqCst) as u64)
            }
            _ => head,
        })
    }

    async fn changed(&self, position: Position) {
        match self.defect {
            Defect::ChangedWaitsAtTheStart if position == Position::START => {
                let head = self.memory.head().await.unwrap_or_default();
                self.memory.changed(head).await;
            }
            Defect::ChangedWakesOne => {
                let woken = self.state.one.notified();
                if self.memory.head().await.unwrap_or_default() <= position {
                    woken.await;
                }
            }
            _ => self.memory.changed(position).await,
        }
    }
}

/// Counts an append that is under way, and remembers one that was dropped there.
pub(super) struct UnderWay {
    state: Arc<State>,
    done: bool,
}

impl UnderWay {
    pub(super) fn begin(state: &Arc<State>) -> Self {
        state.under_way.fetch_add(1, Ordering::SeqCst);
        Self { state: Arc::clone(state), done: false }
    }

    pub(super) fn end(mut self) {
        self.done = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.state.under_way.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.state.open_transaction.store(true, Ordering::SeqCst);
        }
    }
}
