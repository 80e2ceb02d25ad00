//! Why a part of a projection goes no further.

use super::error::ProjectionError;

/// What ends whatever a part does, up to its task.
pub(super) enum Halt {
    /// The runner was stopped.
    Stopped,
    Failed(ProjectionError),
}

impl<E: Into<ProjectionError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
