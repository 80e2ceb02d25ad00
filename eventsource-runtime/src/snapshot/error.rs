//! Why there is no snapshot.

use crate::error::BoxError;
use crate::store::{StoreError, StreamId, Version, is_trouble};

/// A snapshot could not be created, looked for or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The aggregate asks for no snapshots.
    #[error("`{aggregate}` has no snapshots; add `snapshot(every = 100)` to its `#[aggregate(..)]`")]
    #[non_exhaustive]
    NotAsked {
        /// The name of the aggregate's type.
        aggregate: &'static str,
    },
    /// The store keeps no snapshots.
    #[error("the store of `{aggregate}` keeps no snapshots; give its repository one that does, by `with_snapshots`")]
    #[non_exhaustive]
    NotKept {
        /// The name of the aggregate's type.
        aggregate: &'static str,
    },
    /// The state cannot be written as JSON, or cannot be read back from it.
    #[error("the state of `{stream}` at version {version} {problem}")]
    #[non_exhaustive]
    Encode {
        /// Whose state.
        stream: StreamId,
        /// The version of the last event in it.
        version: Version,
        /// Which of the two, and what to do.
        problem: &'static str,
        /// The encoder's error, or where in the JSON reading failed: nothing of what was read.
        source: BoxError,
    },
    /// The store could not be read or written. The error of the store is the source as well.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What to do about an unavailable snapshot: nothing.
pub(super) const WITHOUT: &str = "loads go on without it";

impl SnapshotError {
    /// Adds to a store's failure whose snapshot it was about.
    pub(crate) fn of(self, stream: &StreamId) -> Self {
        match self {
            Self::Store(error) => Self::Store(error.about(|| format!("`{stream}`"), WITHOUT)),
            other => other,
        }
    }

    /// Whether a retry cannot help: no store in trouble is behind the error.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !is_trouble(self)
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::NotAsked { .. } => "snapshot_not_asked",
            Self::NotKept { .. } => "snapshot_not_kept",
            Self::Encode { .. } => "encode",
            Self::Store(error) => error.error_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_may_help_if_the_store_is_in_trouble() {
        let of_store = |error: StoreError| SnapshotError::from(error).is_permanent();
        assert!(!of_store(StoreError::backend("save a snapshot", "nobody is there")));
        assert!(of_store(StoreError::refused("save a snapshot", "it is too long")));
        assert!(SnapshotError::NotAsked { aggregate: "Order" }.is_permanent());
        assert!(SnapshotError::NotKept { aggregate: "Order" }.is_permanent());
    }
}
