//! What a store is asked to apply.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::borrow::Borrow;
use std::fmt;
use std::ops::{Add, Deref, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blocking::Blocking;
use super::changed::CheckpointMoved;
use super::dead_letter::DeadLetter;
use super::error::ProjectionError;
use super::lease::{Claim, HeldLease, LeaseLost};
use super::partition::Partition;
use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::store::Position;

/// A batch on its way into a projection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The part of the projection whose events these are.
    pub partition: Partition,
    /// The lease under which they are sent; it is renewed with them.
    pub claim: Claim,
    /// The events, in order; none if only the checkpoint moves.
    pub events: Events,
    /// Where the sender left the checkpoint.
    pub from: Position,
    /// Where the checkpoint stands when they have been applied.
    pub checkpoint: Position,
    /// An event that is set aside.
    pub set_aside: Option<DeadLetter>,
    /// The sender's time, for what is set aside.
    pub at: Timestamp,
    /// When the sender last confirmed its lease, which another may have by now.
    pub leased: Instant,
    /// How to ask who holds it up.
    pub(crate) blocking: Blocking,
}

impl Batch {
    /// A batch that moves a checkpoint and applies nothing, under a lease that was just requested.
    #[must_use]
    pub fn new(partition: Partition, claim: Claim, from: Position, checkpoint: Position) -> Self {
        let (events, blocking) = (Events::default(), Blocking::default());
        let (at, leased) = (Timestamp::from_micros(0), Instant::now());
        Self { partition, claim, events, from, checkpoint, set_aside: None, at, leased, blocking }
    }

    /// The batch with events.
    #[must_use]
    pub fn events(self, events: impl Into<Events>) -> Self {
        Self { events: events.into(), ..self }
    }

    /// The batch with an event that is set aside.
    #[must_use]
    pub fn set_aside(self, letter: Option<DeadLetter>) -> Self {
        Self { set_aside: letter, ..self }
    }

    /// The batch with the time at which it is sent.
    #[must_use]
    pub fn at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    /// The batch with the time at which its lease was last asked for.
    #[must_use]
    pub fn leased(self, leased: Instant) -> Self {
        Self { leased, ..self }
    }

    /// The lease under which it is sent.
    pub(crate) fn held_lease(&self) -> HeldLease {
        HeldLease { partition: self.partition, claim: self.claim.clone(), since: self.leased, checkpoint: self.from }
    }

    /// Refuses the batch if the lease is another's, or if the checkpoint in the store is not where the sender left it.
    /// Without this, two runners of one projection would each skip what the other had counted as done.
    ///
    /// # Errors
    /// [`LeaseLost`], or [`CheckpointMoved`] by somebody else or by this very batch: its sender knows whether it sent
    /// it before.
    pub fn check(&self, checkpoint: Position, token: Option<uuid::Uuid>) -> Result<(), ProjectionError> {
        if token != Some(self.claim.token) {
            return Err(LeaseLost::new(self.partition).into());
        }
        if checkpoint == self.from {
            return Ok(());
        }
        Err(CheckpointMoved::new(self.partition.projection, self.from, checkpoint).into())
    }
}

/// The result of a committed batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The events that were set aside unapplied, because an earlier event of their stream is a dead letter.
    pub parked: Vec<Position>,
    /// How long it took; `None` if the store does not say, and then all the time until it answered counts as that of
    /// the steps.
    pub took: Option<Took>,
}

/// How long a batch held what others wait for, such as the connection, without its own wait for it. It determines the
/// size of the next batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// The steps of its events.
    pub steps: Duration,
    /// The rest of its transaction, which takes as long for a small batch as for a large one.
    pub rest: Duration,
}

impl Took {
    /// What a batch took, given when it began and how long its steps took.
    #[must_use]
    pub fn since(begun: Instant, steps: Duration) -> Self {
        Self { steps, rest: begun.elapsed().saturating_sub(steps) }
    }
}

impl Add for Took {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { steps: self.steps + other.steps, rest: self.rest + other.rest }
    }
}

/// Attributes the error of a batch whose steps ran, but could not be committed, to one of its events.
///
/// Nothing tells which of them left such a transaction behind. So one in the middle is named: then the events before it
/// are applied by themselves, and if that fails too, it is sought there; otherwise that one is tried alone, and then
/// those behind it. Alone it is named correctly.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn sought(error: ProjectionError, events: &[impl Borrow<StoredEvent>]) -> ProjectionError {
    match events.get(events.len() / 2) {
        Some(event) if !error.is_trouble() => error.at(event.borrow()),
        _ => error,
    }
}

/// Events that several batches share: cloning does not copy them.
#[derive(Clone, Default)]
pub struct Events {
    all: Arc<Vec<StoredEvent>>,
    shown: Range<usize>,
}

impl Events {
    /// Those after a position.
    pub(crate) fn after(&self, position: Position) -> Self {
        let first = self.partition_point(|event| event.position <= position);
        self.part(first..self.len())
    }

    /// Those before a position.
    pub(super) fn before(&self, position: Position) -> Self {
        self.part(0..self.partition_point(|event| event.position < position))
    }

    /// Those up to a position, with the one at it.
    pub(super) fn until(&self, position: Position) -> Self {
        self.part(0..self.partition_point(|event| event.position <= position))
    }

    /// The first, if there is one.
    pub(super) fn first_alone(&self) -> Self {
        self.part(0..self.len().min(1))
    }

    fn part(&self, part: Range<usize>) -> Self {
        let from = self.shown.start;
        Self { all: Arc::clone(&self.all), shown: from + part.start..from + part.end }
    }
}

impl From<Vec<StoredEvent>> for Events {
    fn from(events: Vec<StoredEvent>) -> Self {
        let shown = 0..events.len();
        Self { all: Arc::new(events), shown }
    }
}

impl Deref for Events {
    type Target = [StoredEvent];

    fn deref(&self) -> &[StoredEvent] {
        self.all.get(self.shown.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
