//! Leases: the right to run a part of a projection, for a time, in one place only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::partition::Partition;
use super::{ProjectionStore, StepResult};
use crate::store::Position;

/// Asks for the lease of a part, renews it, or gives it up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// New for each lease that is asked for, and kept when that is renewed: it identifies a late write.
    pub token: Uuid,
    /// The owner's name, for operators.
    pub owner: Arc<str>,
    /// For how long from now, by the store's clock. A term of zero gives up a lease that is held.
    pub term: Duration,
    /// Takes the lease from whoever has it.
    pub by_force: bool,
}

impl Claim {
    /// Asks for a lease that nobody has.
    pub fn new(token: Uuid, owner: impl Into<Arc<str>>, term: Duration) -> Self {
        Self { token, owner: owner.into(), term, by_force: false }
    }

    /// Takes the lease, whoever has it.
    #[must_use]
    pub fn by_force(self) -> Self {
        Self { by_force: true, ..self }
    }

    /// Gives the lease up. Has no effect on one that somebody else has.
    #[must_use]
    pub fn given_up(self) -> Self {
        Self { term: Duration::ZERO, by_force: false, ..self }
    }

    /// Whether the claim gives the lease up.
    #[must_use]
    pub const fn gives_up(&self) -> bool {
        self.term.is_zero()
    }
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// Where the part stands, whoever has the lease.
    pub checkpoint: Position,
    /// The lease's holder, if that is not the one that asked.
    pub taken: Option<Taken>,
    /// Whose lease had expired when this claim took it over. Of one that was given up, that was taken by force, or that
    /// the asking one had already, it is nobody's.
    pub expired: Option<String>,
}

impl Lease {
    /// Of a part that stands at a checkpoint: the asking one's, unless another has it.
    #[must_use]
    pub const fn new(checkpoint: Position, taken: Option<Taken>) -> Self {
        Self { checkpoint, taken, expired: None }
    }

    /// The same, taken over from an owner whose lease had expired, if there was one.
    #[must_use]
    pub fn expired(self, owner: Option<String>) -> Self {
        Self { expired: owner, ..self }
    }
}

/// The lease that somebody else has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// Its owner, as it calls itself.
    pub owner: String,
    /// The time left, if it is not renewed.
    pub left: Duration,
}

impl Taken {
    /// The lease of an owner, which ends in that time.
    pub fn new(owner: impl Into<String>, left: Duration) -> Self {
        Self { owner: owner.into(), left }
    }
}

/// The lease under which a batch was sent was taken over by another runner; nothing of the batch was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of projection `{partition}` was taken over by another runner, which goes on from the checkpoint")]
#[non_exhaustive]
pub struct LeaseLost {
    /// The part.
    pub partition: Partition,
}

impl LeaseLost {
    /// For the batch or the reset of a part whose token is another's.
    #[must_use]
    pub const fn new(partition: Partition) -> Self {
        Self { partition }
    }
}

/// A lease as its holder knows it, for what is done outside the store, where no transaction refuses it if it is late.
#[derive(Clone)]
pub(crate) struct HeldLease {
    pub(crate) partition: Partition,
    pub(crate) claim: Claim,
    /// When it was last asked for.
    pub(crate) since: Instant,
    /// Where the part stands, as long as it is held.
    pub(crate) checkpoint: Position,
}

impl HeldLease {
    /// Checks that the lease is still held, unless that was confirmed recently: the process may have been stopped
    /// since. It may be stopped after the answer too, so nothing is promised.
    ///
    /// # Errors
    /// [`LeaseLost`], or the store cannot be asked.
    pub(crate) async fn check<S: ProjectionStore>(&self, store: &S) -> StepResult {
        if self.since.elapsed() < self.claim.term / 2 {
            return Ok(());
        }
        let lease = store.lease_projection(self.partition, self.claim.clone()).await?;
        // Another may have had it meanwhile and given it up again.
        let is_held = lease.taken.is_none() && lease.checkpoint == self.checkpoint;
        if is_held { Ok(()) } else { Err(LeaseLost::new(self.partition).into()) }
    }
}
