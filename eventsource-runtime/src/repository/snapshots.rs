//! Snapshots of a repository: written in the background, looked for, deleted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::Repository;
use super::cause::event_id;
use super::replay::{Read, Replay};
use super::steps::failed;
use crate::dispatch::{Committed, boxed};
use crate::domain::json::Unwritable;
use crate::domain::{Aggregate, EventSet, Snapshot, evolve_as_read};
use crate::poll::told;
use crate::snapshot::{LastEvent, PATIENCE, SnapshotError, SnapshotStore, StoredSnapshot, within};
use crate::store::{EventStore, StoreError, StreamId, Version, place_before};
use crate::sync::Mutex;
use crate::telemetry::{PANIC, Scope, log, names};
use crate::timer;

/// How many snapshots a repository writes at a time. Any beyond that are left to a later command.
const MOST: usize = 64;
/// How long the command waits that a snapshot is due after. Most are written by then, and the next load begins with it.
const SOON: Duration = Duration::from_millis(10);
/// How long writing a snapshot may take before it is given up.
const WRITING: Duration = Duration::from_secs(30);
/// How long a store that did not answer in time is not asked again.
const REST: Duration = Duration::from_secs(10);

/// What a repository and its clones know of their snapshots.
#[derive(Default)]
pub(super) struct Snapshots {
    writing: Mutex<Writing>,
    written: Notify,
    resting: Mutex<Option<Instant>>,
}

/// The streams whose snapshots are being written, numbered in the order of their start.
#[derive(Default)]
struct Writing {
    streams: HashMap<StreamId, u64>,
    begun: u64,
}

impl Snapshots {
    fn claim(self: &Arc<Self>, stream: &StreamId) -> Option<Claim> {
        let mut writing = self.writing.lock();
        if writing.streams.len() >= MOST || writing.streams.contains_key(stream) {
            return None;
        }
        writing.begun += 1;
        let number = writing.begun;
        writing.streams.insert(stream.clone(), number);
        Some(Claim { snapshots: Arc::clone(self), stream: stream.clone() })
    }

    /// Waits for the snapshots of these streams that are being written now, not for those begun meanwhile.
    async fn written(&self, of: impl Fn(&StreamId) -> bool) {
        let begun = self.writing.lock().begun;
        let is_one = |(stream, number): (&StreamId, &u64)| *number <= begun && of(stream);
        told(&self.written, || (!self.writing.lock().streams.iter().any(is_one)).then_some(())).await;
    }

    /// Whether the store is not to be asked.
    pub(super) fn rests(&self) -> bool {
        self.resting.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Lets the store rest if a read that failed took so long that every load would suffer.
    pub(super) fn rest_after(&self, took: Duration) {
        if took >= PATIENCE {
            *self.resting.lock() = Some(Instant::now() + REST);
        }
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("writing", &self.writing.lock().streams.len()).finish_non_exhaustive()
    }
}

/// The exclusive right to write the snapshot of a stream.
struct Claim {
    snapshots: Arc<Snapshots>,
    stream: StreamId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.snapshots.writing.lock().streams.remove(&self.stream);
        self.snapshots.written.notify_waiters();
    }
}

impl<A: Aggregate, S: EventStore + SnapshotStore, V: Send + Sync + 'static> Repository<A, S, V> {
    /// Writes a snapshot of the aggregate as it is now, waits until the store has it, and returns its version, or
    /// `None` if the aggregate has no events. The policy continues as before.
    ///
    /// # Errors
    /// The aggregate asks for no snapshots, its store keeps none, the aggregate could not be loaded, or its state could
    /// not be written.
    pub async fn create_snapshot(&self, id: &A::Id) -> Result<Option<Version>, SnapshotError> {
        let policy = A::SNAPSHOT.ok_or(SnapshotError::NotAsked { aggregate: A::NAME })?;
        self.store.snapshots().ok_or(SnapshotError::NotKept { aggregate: A::NAME })?;
        let stream = StreamId::of::<A>(id);
        let span = self.span(names::CREATE_SNAPSHOT, &stream, &mut |_| ());
        let created = span.run(async {
            let replay = self.replay(&stream, Box::default(), None, self.metrics).await?;
            if replay.version == Version::START {
                return Ok(None);
            }
            let before = Version::new(replay.version.get() - 1);
            let last = self.store.read_stream(&stream, before, 1).await?;
            let Some(last) = last.first().map(LastEvent::of) else { return Ok(None) };
            let snapshot = sealed(&policy, &stream, last, &replay.state)?;
            self.store.save_snapshot(snapshot).await?;
            Ok(Some(replay.version))
        });
        match created.await {
            Ok(version) => {
                if let Some(version) = version {
                    span.record(&mut |later| later.number(names::EVENTSOURCE_SNAPSHOT_VERSION, version.get()));
                }
                span.succeed();
                Ok(version)
            }
            Err(error) => {
                let error = SnapshotError::of(error, &stream);
                Err(failed((names::CREATE_SNAPSHOT, span), error, SnapshotError::error_type))
            }
        }
    }

    /// Whether the store has a snapshot of the aggregate, usable or not.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn snapshot_exists(&self, id: &A::Id) -> Result<bool, StoreError> {
        self.snapshot_scope().run(self.store.snapshot_exists(&StreamId::of::<A>(id))).await
    }

    /// Deletes the aggregate's snapshot and returns whether there was one. First waits for one that this repository is
    /// writing. The next one that is due is written as before.
    ///
    /// # Errors
    /// The store could not be written.
    pub async fn delete_snapshot(&self, id: &A::Id) -> Result<bool, StoreError> {
        let stream = StreamId::of::<A>(id);
        self.snapshots.written(|written| *written == stream).await;
        self.snapshot_scope().run(self.store.delete_snapshot(&stream)).await
    }

    /// Deletes the snapshots of all aggregates of the type and returns how many there were. First waits for those that
    /// this repository is writing.
    ///
    /// # Errors
    /// The store could not be written.
    pub async fn delete_snapshots(&self) -> Result<u64, StoreError> {
        self.snapshots_written().await;
        self.snapshot_scope().run(self.store.delete_snapshots(A::NAME)).await
    }

    /// Waits until every snapshot that is being written in the background is written or given up: for the end of a
    /// program, and for tests. A snapshot that is lost because nobody waited costs a replay.
    pub async fn snapshots_written(&self) {
        self.snapshots.written(|_| true).await;
    }

    /// The caller's scope, without spans if the repository's are off.
    fn snapshot_scope(&self) -> Scope {
        let scope = Scope::current();
        if self.tracing { scope } else { scope.muted() }
    }

    /// Writes a snapshot in the background of an appended command, in the returned task, if one is due; its outcome
    /// never reaches the command.
    pub(super) fn snapshot_behind(
        &self,
        stream: &StreamId,
        replay: Box<Replay<A>>,
        events: Vec<A::Event>,
        committed: &Committed,
    ) -> Option<JoinHandle<()>> {
        let policy = A::SNAPSHOT?;
        let behind = committed.version.get().saturating_sub(replay.stored.get());
        // Checked whatever the store reports: on another state, an earlier dispatch of the command has appended them.
        let is_next = !committed.repeated && committed.version.get() == replay.version.get() + events.len() as u64;
        let cannot = replay.read == Some(Read::StoreError) || self.store.snapshots().is_none();
        if behind < policy.every() || !is_next || cannot {
            return None;
        }
        let (runtime, claim) = (Handle::try_current().ok()?, self.snapshots.claim(stream)?);
        let id = event_id(committed.command_id, events.len() as u64 - 1);
        let last = LastEvent { version: committed.version, position: committed.position, id };
        let store = self.store.clone();
        let writing = async move {
            let stream = claim.stream.clone();
            let scope = Scope::current();
            let encode = move || {
                let mut state = replay.state;
                evolve(&mut state, &events, &stream, last)?;
                sealed(&policy, &stream, last, &state).map_err(|error| error.error_type())
            };
            // It may take long, and a long task holds up others. Boxed as the task is: see [`boxed`].
            let encode: Box<dyn FnOnce() -> _ + Send> = Box::new(move || scope.in_scope(encode));
            let written = match tokio::task::spawn_blocking(encode).await {
                Ok(Ok(snapshot)) => {
                    let saved = within(WRITING, "save a snapshot", store.save_snapshot(snapshot)).await;
                    saved.map_err(|error| error.error_type())
                }
                Ok(Err(error_type)) => Err(error_type),
                Err(_) => Err(PANIC),
            };
            if let Err(error_type) = written {
                log::snapshot_lost(A::NAME, error_type);
            }
            drop(claim);
        };
        Some(runtime.spawn(self.snapshot_scope().run(boxed(writing))))
    }
}

/// Waits for a snapshot that is being written, but not for long.
pub(super) async fn written_soon(writing: JoinHandle<()>) {
    if timer::is_there() {
        let _ = timeout(SOON, writing).await;
    }
}

/// Applies appended events as a load will see them.
fn evolve<A: Aggregate>(
    state: &mut A,
    events: &[A::Event],
    stream: &StreamId,
    last: LastEvent,
) -> Result<(), &'static str> {
    for (back, event) in (0..events.len() as u64).rev().zip(events) {
        let place = place_before((last.version, last.position), back);
        let evolved = evolve_as_read(state, event.as_event(), stream, place).map_err(|_| "encode")?;
        evolved.map_err(|_| "decode")?;
    }
    Ok(())
}

fn sealed<A: Aggregate>(
    policy: &Snapshot<A>,
    stream: &StreamId,
    last: LastEvent,
    state: &A,
) -> Result<StoredSnapshot, SnapshotError> {
    let encoded = policy.encode(state).map_err(Unwritable::unwritten).and_then(|json| {
        // One that cannot be read back would be written again after every command.
        policy.decode(&json).map_err(|error| Unwritable::unreadable(&error))?;
        Ok(json)
    });
    let json = encoded.map_err(|Unwritable { problem, source }| {
        let (stream, version) = (stream.clone(), last.version);
        SnapshotError::Encode { stream, version, problem, source }
    })?;
    Ok(StoredSnapshot::seal(stream.clone(), last, policy.schema(), json))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    fn is_ready(future: Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// On a busy repository there is always one.
    #[test]
    fn what_begins_meanwhile_is_not_waited_for() {
        let snapshots = Arc::<Snapshots>::default();
        let [one, other] = [1, 2].map(|id: u32| StreamId::new("Order", id));
        let first = snapshots.claim(&one).unwrap();
        let mut all = pin!(snapshots.written(|_| true));
        assert!(!is_ready(all.as_mut()) && is_ready(pin!(snapshots.written(|stream| *stream == other))));
        let second = snapshots.claim(&other);
        assert!(second.is_some() && snapshots.claim(&other).is_none());
        drop(first);
        assert!(is_ready(all));
    }
}
