//! Projections: read models that follow the store's feed.
//!
//! What a projection writes in the store's transaction is committed with its checkpoint, so that it takes effect exactly
//! once, whenever the process dies. [`ProjectionRunner`] runs projections: they first catch up in batches, then follow
//! live, event by event.

mod aside;
mod batch;
mod blocking;
mod catch_panic;
mod changed;
mod checkpoint_only;
mod dead_letter;
mod dead_letters;
mod error;
mod halt;
mod lease;
mod leasing;
mod lookback;
mod options;
mod pace;
mod partition;
mod partition_runner;
mod progress;
mod rebuild;
mod retry;
mod runner;
mod running;
mod shared;
mod step;
mod stopped;
mod task;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use aside::BuiltElsewhere;
#[cfg(feature = "sqlite")]
pub(crate) use aside::NoRoom;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use batch::sought;
pub use batch::{Applied, Batch, Events, Took};
pub(crate) use catch_panic::catch_panic;
pub use changed::{CheckpointMoved, PartitionsChanged};
pub(crate) use checkpoint_only::CheckpointOnly;
pub use dead_letter::{DeadLetter, Letters};
pub use dead_letters::{DeadLetterError, DeadLetters};
pub use error::ProjectionError;
pub(crate) use lease::HeldLease;
pub use lease::{Claim, Lease, LeaseLost, Taken};
pub(crate) use leasing::{FAREWELL, LOOK};
pub use options::{OnFailure, ProjectionOptions};
pub use partition::Partition;
pub use progress::Progress;
pub use runner::ProjectionRunner;
pub use running::Projections;
pub use stopped::ProjectionStopped;

use uuid::Uuid;

use crate::domain::StoredEvent;
use crate::store::{EventStore, Position};
use crate::telemetry::Scope;

/// The result of one step of a projection.
pub type StepResult = Result<(), ProjectionError>;

/// Where projections run: the transaction that they write in, and whether their steps are futures.
///
/// Open for implementation by stores.
pub trait Backend: Send + Sync + 'static {
    /// What a projection's methods write with.
    type Transaction<'t>;
    /// A step: its result if methods are plain functions, a future if they are async.
    type Step<'a>: 'a;

    /// A step that is done.
    fn ready<'a>(result: StepResult) -> Self::Step<'a>;
}

/// A back end whose steps are futures; only there may a projection's methods be async.
#[diagnostic::on_unimplemented(
    message = "projections on `{Self}` have plain methods, this one is async",
    note = "remove `async`: the batch runs on the store's writer thread; what must await is for a subscription of a bus behind a `Relay`, or for the command of a process manager"
)]
pub trait AsyncBackend: Backend {
    /// A step that is still to run.
    fn boxed<'a>(step: impl Future<Output = StepResult> + Send + 'a) -> Self::Step<'a>;
}

/// A transaction that a projection's method may take. Implemented by stores, for the transaction type with `'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transaction of a store",
    note = "the last argument of a projection's method is `&SqliteTransaction<'_>`, `&PostgresTransaction<'_>`, `&MemoryTransaction`, or left out"
)]
pub trait Transaction {
    /// The back end that opens it.
    type Backend: Backend;
}

/// A read model that follows the feed; implemented by `#[projection]`.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
/// Stores, and wrappers of them, call it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection for this store",
    note = "put `#[projection]` on an `impl {Self}` block whose methods take `&Recorded<Event>` and this store's transaction"
)]
pub trait Projection<B: Backend>: Send + Sync + 'static {
    /// The name under which the checkpoint is kept; unique in the store.
    fn name(&self) -> &'static str;

    /// The name of the projection's span: `projection.` and its name.
    fn span_name(&self) -> &'static str;

    /// Whether the projection makes spans; `None` leaves it to the runner, whose default is no. A runner that is
    /// switched off does not ask.
    fn enable_tracing(&self) -> Option<bool> {
        None
    }

    /// The stored names of the events that it handles; others are not even decoded.
    fn event_types(&self) -> Vec<&'static str>;

    /// Runs once, in a transaction of its own, before the first event.
    fn setup<'a>(&'a self, _tx: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(Ok(()))
    }

    /// Empties the read model before it is rebuilt from the first event. Without this a projection cannot be rebuilt:
    /// each event would take effect a second time.
    fn reset<'a>(&'a self, _tx: &'a B::Transaction<'_>) -> B::Step<'a> {
        let reason =
            format!("`{}` cannot be rebuilt; add a `#[projection(reset)]` method that empties it", self.name());
        B::ready(Err(ProjectionError::new(reason)))
    }

    /// Handles one event.
    fn apply<'a>(&'a self, event: &'a StoredEvent, tx: &'a B::Transaction<'_>) -> B::Step<'a>;
}

/// A store that projections can run on. Open for implementation.
///
/// A store around another forwards every method, the provided ones too. Without `open_aside` and `swap_aside`, say,
/// nothing can be rebuilt aside; [`delegate!`](crate::delegate) writes them.
///
/// A part of a projection runs in one place at a time, under a lease. Leases expire by the store's clock, and all that
/// is written for a part is written in a transaction that commits only if its sender still holds the lease: a runner
/// that stalled while another took its lease can change nothing.
///
/// An error of the projection's own method is marked with its event, by [`ProjectionError::at`]; one of the store is made
/// by [`ProjectionError::store`], and is retried for longer.
pub trait ProjectionStore: EventStore {
    /// Where the projections run.
    type Backend: Backend;

    /// Sets a projection up, unless it is already, in one transaction with the first checkpoint of each of its parts,
    /// which is `after`. Existing checkpoints stay where they are.
    ///
    /// If it has a different number of parts, that is changed if all of them stand at one position.
    ///
    /// # Errors
    /// [`PartitionsChanged`] if they stand at several positions, the error of [`Projection::setup`], or the store failed.
    fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self::Backend>>,
        partitions: u32,
        after: Position,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Asks for the lease of a part, renews it, or gives it up. It is granted if nobody holds it, if it has expired, or
    /// if the claim is by force.
    ///
    /// The right to a lease does not end when it expires, but when another takes it, who is told whose it was
    /// ([`Lease::expired`]).
    ///
    /// # Errors
    /// [`PartitionsChanged`] if the projection now has a different number of parts, or the store failed. That somebody
    /// else has the lease is no error, but [`Lease::taken`].
    fn lease_projection(
        &self,
        partition: Partition,
        claim: Claim,
    ) -> impl Future<Output = Result<Lease, ProjectionError>> + Send;

    /// How long a batch of a projection that is catching up should take at most, to which its size adapts: 20
    /// milliseconds by default. Stores in which commands wait while a batch is applied return less.
    fn longest_batch(&self) -> Duration {
        Duration::from_millis(20)
    }

    /// Applies a batch, moves the checkpoint, sets aside what is to be set aside and renews the lease, in one
    /// transaction: all or nothing. It commits only if [`Batch::check`] has passed in it.
    ///
    /// An event whose stream has a dead letter is not applied, but becomes one: [`DeadLetter::parked`]. One that is a
    /// dead letter already, as after a restore that put the checkpoint back, stays one, and fails no batch.
    ///
    /// A store that cannot undo a step checks first, and moves the checkpoint past each event as soon as it is applied.
    /// One in which commands wait may commit a batch that takes long in parts, each with its own checkpoint.
    /// The steps run in `scope`, on whatever thread that is.
    ///
    /// # Errors
    /// Those of [`Batch::check`], [`PartitionsChanged`] if the projection now has a different number of parts, the error
    /// of a step with its event, or the store failed. Then the batch may have been committed all the same: the runner
    /// tells by a [`CheckpointMoved`] of its next attempt.
    fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self::Backend>>,
        batch: Batch,
        scope: Scope,
    ) -> impl Future<Output = Result<Applied, ProjectionError>> + Send;

    /// Empties the read model, removes the dead letters and resets every checkpoint to the start, in one transaction;
    /// only if the lease of every part has this token.
    ///
    /// # Errors
    /// [`LeaseLost`] if another has the lease of a part, the error of [`Projection::reset`], or the store failed.
    fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Self::Backend>>,
        token: Uuid,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// The dead letters of a projection, in order of position.
    ///
    /// # Errors
    /// The store could not be read. That it does not know the projection is no error: then there are none.
    fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, ProjectionError>> + Send;

    /// Removes the dead letter at a position, in one transaction with applying its event, if that is given. Returns
    /// false, and applies nothing, if there is none, or if its event is given and the stream has an earlier letter. It
    /// needs no lease: this transaction and any that would park another event of the stream take turns.
    ///
    /// # Errors
    /// The error of the step with its event, or the store failed.
    fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Self::Backend>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> impl Future<Output = Result<bool, ProjectionError>> + Send;

    /// Opens a place beside the read model where the projection is rebuilt while readers see the old one: a store on
    /// which `open_projection`, `lease_projection`, `apply_batch` and `dead_letters` work on tables of its own. An
    /// earlier attempt is not continued: it may have been another program's.
    ///
    /// # Errors
    /// [`BuiltElsewhere`] while somebody else has the place: the runner asks again. By default, that the store cannot
    /// build aside.
    fn open_aside(&self, projection: &'static str) -> impl Future<Output = Result<Self, ProjectionError>> + Send {
        std::future::ready(Err(ProjectionError::no_aside(projection)))
    }

    /// Replaces the old read model, its checkpoint and its dead letters by those built aside, in one transaction, and
    /// removes the place aside; only if the lease of the projection's one part has this token.
    ///
    /// # Errors
    /// [`LeaseLost`] if another has the lease, why the tables cannot be replaced, or the store failed.
    fn swap_aside(
        &self,
        projection: &'static str,
        _aside: Self,
        _token: Uuid,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        std::future::ready(Err(ProjectionError::no_aside(projection)))
    }
}
