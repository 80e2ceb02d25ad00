//! Projections: read models that follow the store's feed.
//!
//! A projection's writes and its checkpoint are committed in one transaction of the store, so that each event has its
//! effect once, whenever the process dies. [`ProjectionRunner`] runs projections: first they catch up in batches, then
//! they follow live, event by event.

mod caught;
mod error;
mod follower;
mod retry;
mod runner;
mod running;
mod step;

use std::future::Future;

pub(crate) use caught::caught;
pub use error::{CheckpointMoved, ProjectionError, ProjectionStopped};
pub use runner::ProjectionRunner;
pub use running::Projections;

use crate::domain::StoredEvent;
use crate::store::{EventStore, Position};

/// What one step of a projection came to.
pub type StepResult = Result<(), ProjectionError>;

/// Where projections run: the transaction that they write in, and whether their steps are futures.
///
/// Open for implementation by stores.
pub trait Backend: Send + Sync + 'static {
    /// What a projection's methods write with.
    type Transaction<'t>;
    /// A step: its result where methods are plain functions, a future where they are async.
    type Step<'a>: 'a;

    /// A step that is done.
    fn ready<'a>(result: StepResult) -> Self::Step<'a>;
}

/// A back end whose steps are futures; only there may a projection's methods be async.
#[diagnostic::on_unimplemented(
    message = "projections on `{Self}` have plain methods, this one is async",
    note = "remove `async`: the batch runs on the store's writer thread"
)]
pub trait AsyncBackend: Backend {
    /// A step that is still to be done.
    fn boxed<'a>(step: impl Future<Output = StepResult> + Send + 'a) -> Self::Step<'a>;
}

/// A transaction that a projection's method may take. Implemented by stores, for the transaction type with `'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transaction of a store",
    note = "the last argument of a projection's method is `&SqliteTransaction<'_>`, `&MemoryTransaction`, or left out"
)]
pub trait Transaction {
    /// The back end that opens it.
    type Backend: Backend;
}

/// A read model that follows the feed; implemented by `#[projection]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection for this store",
    note = "put `#[projection]` on an `impl {Self}` block whose methods take `&Recorded<Event>` and this store's transaction"
)]
pub trait Projection<B: Backend>: Send + Sync + 'static {
    /// The name under which the checkpoint is kept; unique in the store.
    fn name(&self) -> &'static str;

    /// The name of the projection's span: `projection.` and its name.
    fn span_name(&self) -> &'static str;

    /// Whether the projection makes spans; `None` leaves it to the runner, whose default is no.
    fn enable_tracing(&self) -> Option<bool> {
        None
    }

    /// The stored names of the events that it handles; others are not even decoded.
    fn event_types(&self) -> Vec<&'static str>;

    /// Runs once, in a transaction of its own, before the first event.
    fn setup<'a>(&'a self, _tx: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(Ok(()))
    }

    /// Empties the read model, before it is rebuilt from the first event. Without it a projection cannot be rebuilt:
    /// each event would have its effect a second time.
    fn reset<'a>(&'a self, _tx: &'a B::Transaction<'_>) -> B::Step<'a> {
        let reason =
            format!("`{}` cannot be rebuilt; add a `#[projection(reset)]` method that empties it", self.name());
        B::ready(Err(ProjectionError::new(reason)))
    }

    /// Handles one event.
    fn apply<'a>(&'a self, event: &'a StoredEvent, tx: &'a B::Transaction<'_>) -> B::Step<'a>;
}

/// A batch on its way into a projection.
#[derive(Debug)]
pub struct Batch {
    /// The events, in order; none if only the checkpoint moves.
    pub events: Vec<StoredEvent>,
    /// Where the sender left the checkpoint.
    pub from: Position,
    /// Where the checkpoint stands when they have been applied.
    pub checkpoint: Position,
}

impl Batch {
    /// Refuses the batch if the checkpoint in the store is not where the sender left it. Without this, two runners of
    /// one projection, or one of them and a rebuild, would each pass over what the other had counted as done.
    ///
    /// # Errors
    /// The checkpoint was moved by somebody else, or by this very batch: its sender knows whether it sent it before.
    pub fn check(&self, projection: &'static str, stored: Position) -> Result<(), CheckpointMoved> {
        if stored == self.from { Ok(()) } else { Err(CheckpointMoved::new(projection, self.from, stored)) }
    }
}

/// A store that projections can run on. Open for implementation.
pub trait ProjectionStore: EventStore {
    /// Where the projections run.
    type Backend: Backend;

    /// Where a projection stands. The first time it is set up, in one transaction with its first checkpoint.
    fn open_projection(
        &self,
        projection: std::sync::Arc<dyn Projection<Self::Backend>>,
    ) -> impl Future<Output = Result<Position, ProjectionError>> + Send;

    /// Applies a batch and moves the checkpoint, in one transaction: both or neither. It begins with [`Batch::check`].
    ///
    /// A store that cannot undo a step moves the checkpoint past each event as soon as that has been applied.
    ///
    /// The steps run in `scope`, on whatever thread that is.
    fn apply_batch(
        &self,
        projection: std::sync::Arc<dyn Projection<Self::Backend>>,
        batch: Batch,
        scope: crate::telemetry::Scope,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Empties the read model and sets the checkpoint back to the start, in one transaction.
    fn reset_projection(
        &self,
        projection: std::sync::Arc<dyn Projection<Self::Backend>>,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}
