//! A state that is rebuilt from its events, or from a snapshot and the events after it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::time::Instant;

use super::Loaded;
use super::snapshots::Snapshots;
use crate::dispatch::is_own;
use crate::domain::{Aggregate, DecodeError, EventRef, Snapshot};
use crate::snapshot::{Restore, StoredSnapshot};
use crate::store::{Appended, Position, StoreError, StreamId, Version, Visitor};

/// A state on its way to the stream's end. It is boxed: each future that passes it on would reserve space for it.
pub(super) struct Replay<A> {
    pub(super) state: A,
    pub(super) version: Version,
    pub(super) position: Position,
    /// The last version that matters, unless all do.
    pub(super) until: Option<Version>,
    pub(super) error: Option<DecodeError>,
    pub(super) earlier: Option<Appended>,
    /// The version of the snapshot that the state began with; 0 without one.
    pub(super) base: Version,
    /// The version of a stored snapshot that is not to be replaced until it is as far behind as one is let fall; 0 if
    /// the next may be written at once.
    pub(super) stored: Version,
    /// What became of the snapshot; `None` if none was looked for.
    pub(super) read: Option<Read>,
}

impl<A: Default> Default for Replay<A> {
    fn default() -> Self {
        Self {
            state: A::default(),
            version: Version::START,
            position: Position::START,
            until: None,
            error: None,
            earlier: None,
            base: Version::START,
            stored: Version::START,
            read: None,
        }
    }
}

impl<A> Replay<A> {
    pub(super) fn into_loaded(self) -> Loaded<A> {
        Loaded { state: self.state, version: self.version, position: self.position }
    }
}

impl<A: Aggregate> Visitor for Replay<A> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        match self.state.evolve_stored(&event) {
            Ok(()) => {}
            // What a process manager stores beside the events of its process does not affect the state.
            Err(_) if is_own(event.event_type) => {}
            Err(error) => {
                self.error = Some(error);
                return ControlFlow::Break(());
            }
        }
        self.version = event.version;
        self.position = event.position;
        let is_enough = self.until.is_some_and(|until| event.version >= until);
        if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What became of the snapshot that a load looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Hit,
    Missing,
    SchemaMismatch,
    /// The store failed, or took too long.
    StoreError,
    DecodeError,
}

impl Read {
    /// The name in the metric.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Missing => "missing",
            Self::SchemaMismatch => "schema_mismatch",
            Self::StoreError => "store_error",
            Self::DecodeError => "decode_error",
        }
    }
}

/// A replay that starts from a snapshot, if a usable one exists. The store has checked that it is of this history.
pub(super) struct Restoring<A> {
    pub(super) replay: Box<Replay<A>>,
    stream: StreamId,
    policy: Snapshot<A>,
    snapshots: Arc<Snapshots>,
    begun: Instant,
}

impl<A: Aggregate> Restoring<A> {
    pub(super) fn new(stream: &StreamId, policy: Snapshot<A>, snapshots: &Arc<Snapshots>) -> Self {
        let (stream, snapshots) = (stream.clone(), Arc::clone(snapshots));
        Self { replay: Box::default(), stream, policy, snapshots, begun: Instant::now() }
    }

    fn begin(&mut self, snapshot: &StoredSnapshot) -> Result<(), Read> {
        let is_ours = snapshot.stream == self.stream && snapshot.last.version > Version::START;
        if snapshot.schema != self.policy.schema() || snapshot.stream.aggregate_type() != A::NAME {
            if is_ours && snapshot.schema.version > self.policy.schema().version {
                // Of a newer release, which replaces it before it falls behind by twice as much as it may; unless it is
                // gone, and this one came back.
                self.replay.stored = Version::new(snapshot.last.version.get().saturating_add(self.policy.every()));
            }
            return Err(Read::SchemaMismatch);
        }
        let json = snapshot.unseal().filter(|_| is_ours).ok_or(Read::DecodeError)?;
        // The user's code, on bytes that a former version of the program may have written.
        let decoded = catch_unwind(AssertUnwindSafe(|| self.policy.decode(json)));
        let Ok(Ok(state)) = decoded else { return Err(Read::DecodeError) };
        let (version, position) = (snapshot.last.version, snapshot.last.position);
        *self.replay = Replay { state, version, position, base: version, stored: version, ..Replay::default() };
        Ok(())
    }
}

impl<A: Aggregate> Restore for Restoring<A> {
    fn restore(&mut self, found: Result<Option<StoredSnapshot>, StoreError>) -> Version {
        let begun = match found {
            Ok(Some(snapshot)) => self.begin(&snapshot),
            Ok(None) => Err(Read::Missing),
            Err(_) => {
                // Now: until the events are there as well, more loads would ask.
                self.snapshots.rest_after(self.begun.elapsed());
                Err(Read::StoreError)
            }
        };
        self.replay.read = Some(begun.err().unwrap_or(Read::Hit));
        self.replay.version
    }
}

impl<A: Aggregate> Visitor for Restoring<A> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.replay.visit(event)
    }
}
