//! Aggregates: state that is rebuilt from events and decides about commands.

use std::error::Error;
use std::fmt;

use super::{AnyEvent, DecodeError, EncodeError, EventRef, EventSet};
use crate::__private::Kept;
use crate::snapshot::Schema;
use crate::store::{Position, StreamId, Version};

/// A consistency boundary: the state that a stream of events leads to. Implemented by `#[derive(Aggregate)]`.
///
/// `Default` is the state before the first event.
///
/// It can also be implemented by hand: what minor releases add to it has a default.
#[doc(alias = "decider")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    note = "add `#[derive(Aggregate, Default)]` to `{Self}`"
)]
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The stored name of the type; part of every stream id.
    const NAME: &'static str;
    /// When and how snapshots of the state are written.
    const SNAPSHOT: Option<Snapshot<Self>> = None;
    /// Identifies an aggregate among those of its type.
    type Id: fmt::Display + Clone + Send + Sync + 'static;
    /// The events, as an enum.
    type Event: EventSet;
    /// The error of a handler: of a refused command, and of what [`is_fault`](Self::is_fault) tells apart from that.
    type Error: Error + Send + Sync + 'static;

    /// Applies one event.
    fn evolve(&mut self, event: Self::Event);

    /// Reads a stored event and applies it, with the same result as decoding it and calling [`evolve`](Self::evolve).
    ///
    /// A hand-written implementation must lead to the same state and the same error, and can only be faster. The
    /// derived one reads each type where it is applied, without building the enum.
    ///
    /// # Errors
    /// The stored type is not in the set, or its payload does not fit: nothing was applied.
    fn evolve_stored(&mut self, event: &EventRef<'_>) -> Result<(), DecodeError> {
        Self::Event::decode(event).map(|event| self.evolve(event))
    }

    /// Whether an error of a handler says that something failed that it needs, such as a service that is away, and not
    /// that the domain refuses the command. The command fails then with
    /// [`DispatchError::Failed`](crate::dispatch::DispatchError::Failed), a failure for its span and for metrics, and a
    /// process manager tries it again. Never, unless `#[aggregate(fault = ..)]` says so.
    #[must_use]
    fn is_fault(error: &Self::Error) -> bool {
        let _ = error;
        false
    }
}

/// Applies an event as it will be read back from that place: what is written may say less than the event did.
pub(crate) fn evolve_as_read<A: Aggregate>(
    state: &mut A,
    event: &dyn AnyEvent,
    stream: &StreamId,
    place: (Version, Position),
) -> Result<Result<(), DecodeError>, EncodeError> {
    let payload = event.encode()?;
    Ok(state.evolve_stored(&EventRef::new(stream, place, (event.name(), event.version()), &payload)))
}

/// How often an aggregate's state is kept, and how it is written and read.
///
/// The functions are kept as values, so that an aggregate without snapshots needs no `Serialize`.
pub struct Snapshot<A> {
    every: u64,
    schema: Schema,
    encode: fn(&A) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> serde_json::Result<A>,
}

impl<A: Kept> Snapshot<A> {
    /// A JSON snapshot after every `every` events, of schema 1 and hash 0.
    #[must_use]
    pub const fn json(every: u64) -> Self {
        Self {
            every,
            schema: Schema { version: 1, hash: 0 },
            encode: |state| serde_json::to_vec(state),
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }
}

impl<A> Snapshot<A> {
    /// Sets the schema that a stored snapshot must have to be used: a hand-written version and a hash over the type's
    /// fields.
    #[must_use]
    pub const fn with_schema(self, version: u32, hash: u64) -> Self {
        Self { schema: Schema { version, hash }, ..self }
    }

    /// The schema of the states that are written, and the only one that is read.
    #[must_use]
    pub const fn schema(&self) -> Schema {
        self.schema
    }

    /// The number of events after which a snapshot is due.
    #[must_use]
    pub const fn every(&self) -> u64 {
        self.every
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The state cannot be written as JSON.
    pub fn encode(&self, state: &A) -> serde_json::Result<Vec<u8>> {
        (self.encode)(state)
    }

    /// Reads a state back.
    ///
    /// # Errors
    /// The bytes are not a state of this type.
    pub fn decode(&self, bytes: &[u8]) -> serde_json::Result<A> {
        (self.decode)(bytes)
    }
}

impl<A> fmt::Debug for Snapshot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("every", &self.every).field("schema", &self.schema).finish_non_exhaustive()
    }
}
