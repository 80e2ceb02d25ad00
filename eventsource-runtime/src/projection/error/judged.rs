//! Whether a failure may pass, and whose it is.

use super::ProjectionError;
use crate::bus::PublishError;
use crate::projection::aside::{BuiltElsewhere, NoRoom};
use crate::projection::changed::{CheckpointMoved, PartitionsChanged};
use crate::projection::lease::LeaseLost;
use crate::store::{Position, StoreError, is_trouble};

impl ProjectionError {
    /// Whether retrying cannot help.
    pub(in crate::projection) fn is_final(&self) -> bool {
        if self.event.is_some() || self.trouble {
            return false;
        }
        let store = self.cause.downcast_ref::<StoreError>();
        self.permanent
            || matches!(store, Some(StoreError::Schema { .. }))
            || self.is_closed()
            || self.cause.is::<CheckpointMoved>()
            || self.cause.is::<PartitionsChanged>()
            || self.is_built_elsewhere()
            || self.is_lease_lost()
            || self.cause.is::<NoRoom>()
    }

    /// Whether the policy decides about the event without another attempt.
    pub(in crate::projection) fn is_hopeless(&self) -> bool {
        self.permanent
    }

    /// Whether it cannot help to try again, as far as is known: no store is in trouble, no stream busy, and no other
    /// runner in the way.
    pub(in crate::projection) fn is_permanent(&self) -> bool {
        let may_pass = self.trouble || self.loses_its_place() || self.is_built_elsewhere() || is_trouble(&*self.cause);
        self.permanent || !may_pass
    }

    /// Whether the store itself failed, a stream of it is busy, or something else that the step needs is away, and it
    /// was not what was asked of it.
    pub(crate) fn is_trouble(&self) -> bool {
        let is_trouble = || self.cause.downcast_ref().is_some_and(StoreError::is_trouble);
        self.event.is_none() && (self.trouble || is_trouble())
    }

    /// Whether nothing failed, but its turn did not come in time.
    pub(in crate::projection) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether another runner has the lease.
    pub(crate) fn is_lease_lost(&self) -> bool {
        self.cause.is::<LeaseLost>()
    }

    /// Whether the checkpoint, or the lease, is not where the sender left it.
    pub(in crate::projection) fn loses_its_place(&self) -> bool {
        self.is_lease_lost() || self.found().is_some()
    }

    /// Whether somebody else builds the projection aside.
    pub(in crate::projection) fn is_built_elsewhere(&self) -> bool {
        self.cause.is::<BuiltElsewhere>()
    }

    /// Whether the store was closed, or the bus of a relay was shut down.
    pub(in crate::projection) fn is_closed(&self) -> bool {
        matches!(self.cause.downcast_ref(), Some(StoreError::Closed))
            || matches!(self.cause.downcast_ref(), Some(PublishError::Closed))
    }

    /// Where the checkpoint was found, if it was not where it had been left.
    pub(in crate::projection) fn found(&self) -> Option<Position> {
        self.cause.downcast_ref().map(|moved: &CheckpointMoved| moved.found)
    }
}
