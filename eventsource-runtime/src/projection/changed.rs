//! What a projection's sender finds in the store if somebody else has changed it.

use crate::store::Position;

/// A projection's checkpoint is not where the sender of a batch left it; nothing of the batch was applied.
///
/// Events between the two places may be missing from the read model, or would be applied twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of projection `{projection}` was left at {expected} and is at {found}; \
     leave checkpoints to the runner, and give each projection a name of its own"
)]
#[non_exhaustive]
pub struct CheckpointMoved {
    /// The projection.
    pub projection: &'static str,
    /// Where the sender left it.
    pub expected: Position,
    /// Where it is.
    pub found: Position,
}

impl CheckpointMoved {
    pub(super) fn new(projection: &'static str, expected: Position, found: Position) -> Self {
        Self { projection, expected, found }
    }
}

/// A projection has a different number of partitions than it is to run in: they stand at different positions, so that
/// their number cannot be changed, or somebody has changed it since.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "projection `{projection}` has {stored} partitions and cannot go on with {wanted}; \
     run it with {stored}, at least until all have caught up"
)]
#[non_exhaustive]
pub struct PartitionsChanged {
    /// The projection.
    pub projection: &'static str,
    /// How many it has.
    pub stored: u32,
    /// How many were asked for.
    pub wanted: u32,
}

impl PartitionsChanged {
    /// For a projection that has `stored` partitions.
    #[must_use]
    pub const fn new(projection: &'static str, stored: u32, wanted: u32) -> Self {
        Self { projection, stored, wanted }
    }
}
