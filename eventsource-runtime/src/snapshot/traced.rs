//! The spans and metrics of every store of snapshots.

use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::error::WITHOUT;
use super::{Restore, SnapshotStore, StoredSnapshot};
use crate::domain::EventRef;
use crate::store::{
    AGAIN, EventStore, Fault, Fold, Folded, StoreError, StoreInfo, StreamId, Traced, TracedCall, Version, Visitor,
};
use crate::sync::Mutex;
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, names};

const SAVE: (&str, &str) = (names::SNAPSHOT_STORE_SAVE, "INSERT");
const GET: (&str, &str) = (names::SNAPSHOT_STORE_GET, "SELECT");
const LOAD: (&str, &str) = (names::EVENT_STORE_LOAD, "SELECT");
const EXISTS: (&str, &str) = (names::SNAPSHOT_STORE_EXISTS, "SELECT");
const DELETE: (&str, &str) = (names::SNAPSHOT_STORE_DELETE, "DELETE");

/// Makes the spans `snapshot_store.save`, `.get`, `.exists` and `.delete`; none if the store keeps no snapshots.
impl<S: EventStore + SnapshotStore> SnapshotStore for Traced<S> {
    fn snapshots(&self) -> Option<StoreInfo> {
        self.inner().snapshots()
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        let (stream, version) = (snapshot.stream.clone(), snapshot.last.version);
        let call = self.snapshot_call(SAVE, &mut aggregate(&stream));
        let saved = ended(call, self.inner().save_snapshot(snapshot), |(), later| at(version, later)).await;
        saved.map_err(|error| error.about(|| format!("`{stream}` at version {version}"), WITHOUT))
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        let call = self.snapshot_call(GET, &mut aggregate(stream));
        let read = ended(call, self.inner().latest_snapshot(stream), |snapshot, later| found(snapshot.as_ref(), later));
        read.await.map_err(|error| error.about(|| format!("`{stream}`"), WITHOUT))
    }

    async fn snapshot_exists(&self, stream: &StreamId) -> Result<bool, StoreError> {
        let call = self.snapshot_call(EXISTS, &mut aggregate(stream));
        let found = ended(call, self.inner().snapshot_exists(stream), |_, _| ()).await;
        found.map_err(|error| error.about(|| format!("`{stream}`"), AGAIN))
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        let call = self.snapshot_call(DELETE, &mut aggregate(stream));
        let deleted = ended(call, self.inner().delete_snapshot(stream), |_, _| ()).await;
        deleted.map_err(|error| error.about(|| format!("`{stream}`"), AGAIN))
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        let call = self.snapshot_call(DELETE, &mut |known| {
            known.string(names::EVENTSOURCE_AGGREGATE_TYPE, aggregate_type);
        });
        let deleted = ended(call, self.inner().delete_snapshots(aggregate_type), |_, _| ()).await;
        deleted.map_err(|error| error.about(|| format!("of all `{aggregate_type}`"), AGAIN))
    }

    async fn fold_from_snapshot<V: Restore>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        let Some(info) = self.inner().snapshots() else {
            return self.fold(fold, visitor).await;
        };
        if !self.is_seen() && !self.sees(|| info.system.is_some()) {
            // Of calls that are not seen, only failures are told: that of the first one here. They need no memory of
            // which of them is in flight: what the whole fails with is the read of the events.
            let (mut unseen, target) = (Some(self.unseen()), info.target);
            let restore = move |visitor: &mut V, result: Result<_, _>| {
                if let (Err(error), Some(unseen)) = (&result, unseen.take()) {
                    unseen.fail(Failed::new(target, GET.0), StoreError::error_type(error), &Chain(error));
                }
                visitor.restore(result)
            };
            let load = self.unseen_call(LOAD);
            let result = load.run(self.inner().fold_from_snapshot(fold, Restoring { visitor, restore })).await;
            load.end(|| self.info(), result.as_ref().err().map(Fault::from), &mut |_| ());
            let Folded { visitor, visited, earlier } = result?;
            return Ok(Folded { visitor: visitor.visitor, visited, earlier });
        }
        let now = Mutex::new(Now::Get(self.call_of(&info, GET, &mut aggregate(&fold.stream))));
        let calls = Owned(Arc::new(Calls { store: self.clone(), info, stream: fold.stream.clone(), now }));
        let watched = Arc::clone(&calls.0);
        let restoring =
            Restoring { visitor, restore: move |visitor: &mut V, result| watched.restored(visitor, result) };
        let result = self.unseen().run(self.inner().fold_from_snapshot(fold, restoring)).await;
        let visited = result.as_ref().map_or(0, |folded| folded.visited);
        let fault = || result.as_ref().err().map(Fault::from);
        match calls.0.change(|now| mem::replace(now, Now::Ended)) {
            Now::Get(get) => get.end(|| calls.0.info.clone(), fault(), &mut |_| ()),
            Now::Load(load) => load.end(|| self.info(), fault(), &mut |later| {
                later.number(names::EVENTSOURCE_EVENTS_LOADED, visited);
            }),
            Now::Between | Now::Ended => (),
        }
        let Folded { visitor, visited, earlier } = result?;
        Ok(Folded { visitor: visitor.visitor, visited, earlier })
    }
}

impl<S: EventStore + SnapshotStore> Traced<S> {
    fn snapshot_call(
        &self,
        (name, operation): (&'static str, &'static str),
        known: &mut dyn FnMut(&mut Attributes),
    ) -> Option<(TracedCall, StoreInfo)> {
        let info = self.inner().snapshots()?;
        Some((self.call_of(&info, (name, operation), known), info))
    }
}

fn aggregate(stream: &StreamId) -> impl FnMut(&mut Attributes) {
    |known| {
        known.string(names::EVENTSOURCE_AGGREGATE_TYPE, stream.aggregate_type());
        known.string(names::EVENTSOURCE_AGGREGATE_ID, stream.aggregate_id());
    }
}

fn at(version: Version, later: &mut Attributes) {
    later.number(names::EVENTSOURCE_SNAPSHOT_VERSION, version.get());
}

fn found(found: Option<&StoredSnapshot>, later: &mut Attributes) {
    if let Some(snapshot) = found {
        at(snapshot.last.version, later);
    }
}

/// Makes a call in its span, and ends the span.
async fn ended<T>(
    call: Option<(TracedCall, StoreInfo)>,
    made: impl Future<Output = Result<T, StoreError>> + Send,
    record: impl Fn(&T, &mut Attributes) + Send,
) -> Result<T, StoreError> {
    let Some((call, info)) = call else { return made.await };
    let result = call.run(made).await;
    end(call, || info, result.as_ref(), record);
    result
}

fn end<T>(
    call: TracedCall,
    info: impl FnOnce() -> StoreInfo,
    result: Result<&T, &StoreError>,
    record: impl Fn(&T, &mut Attributes),
) {
    call.end(info, result.err().map(Fault::from), &mut |later| {
        if let Ok(value) = result {
            record(value, later);
        }
    });
}

/// The two calls of one read: first for the snapshot, then for the events.
struct Calls<S> {
    store: Traced<S>,
    /// How it describes itself as a store of snapshots.
    info: StoreInfo,
    stream: StreamId,
    now: Mutex<Now>,
}

/// Which of them is in flight.
enum Now {
    Get(TracedCall),
    Between,
    Load(TracedCall),
    Ended,
}

impl<S: EventStore> Calls<S> {
    /// Ends the first call and begins the second. Both happen under the lock, so that no span is open once the future
    /// is gone.
    fn restored(&self, visitor: &mut impl Restore, result: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        self.change(|now| {
            if let Now::Get(_) = now
                && let Now::Get(get) = mem::replace(now, Now::Between)
            {
                end(get, || self.info.clone(), result.as_ref(), |snapshot, later| found(snapshot.as_ref(), later));
            }
        });
        let after = visitor.restore(result);
        self.change(|now| {
            if let Now::Between = now {
                *now = Now::Load(self.store.load_call(&self.stream, after));
            }
        });
        after
    }
}

impl<S> Calls<S> {
    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.now.lock())
    }
}

/// The calls of a read whose future is alive. They end with it, whenever the store notices.
struct Owned<S>(Arc<Calls<S>>);

impl<S> Drop for Owned<S> {
    fn drop(&mut self) {
        self.0.change(|now| *now = Now::Ended);
    }
}

/// A visitor of which it is watched where the read of the snapshot ends and that of the events begins.
struct Restoring<V, R> {
    visitor: V,
    restore: R,
}

impl<V: Visitor, R: Send + 'static> Visitor for Restoring<V, R> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.visitor.visit(event)
    }
}

impl<V, R> Restore for Restoring<V, R>
where
    V: Restore,
    R: FnMut(&mut V, Result<Option<StoredSnapshot>, StoreError>) -> Version + Send + 'static,
{
    fn restore(&mut self, result: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        (self.restore)(&mut self.visitor, result)
    }
}
