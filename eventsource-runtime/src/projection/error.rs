//! Why a projection's step failed, and why a projection stopped.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::error::{BoxError, error_type};
use crate::store::{Position, StoreError};

/// Any error that a projection's step can end with; `?` turns every other error into it.
///
/// Like a boxed error it is no [`Error`] itself, so that `?` can convert all that are; its cause is in
/// [`ProjectionError::cause`].
pub struct ProjectionError {
    error_type: Cow<'static, str>,
    cause: BoxError,
}

impl ProjectionError {
    /// A failure without a cause.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { error_type: Cow::Borrowed("projection"), cause: reason.into().into() }
    }

    /// A batch for a projection that the store does not know.
    pub(crate) fn not_open(projection: &str) -> Self {
        Self::new(format!("projection `{projection}` has no checkpoint in this store; open it first"))
    }

    /// A store that could not be asked.
    pub(super) fn store(error: StoreError) -> Self {
        Self { error_type: Cow::Borrowed(error.error_type()), cause: Box::new(error) }
    }

    /// Two projections of one runner would share a checkpoint.
    pub(super) fn same_name(projection: &str) -> Self {
        Self::new(format!("the runner has another projection of the name `{projection}`; give one of them its own"))
    }

    /// What a step, or the projection's task, that panicked ends with.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
        let reason = format!("panicked: {}", said.unwrap_or("it did not say why"));
        Self { error_type: Cow::Borrowed("panic"), cause: reason.into() }
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.cause
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    pub(super) fn into_cause(self) -> BoxError {
        self.cause
    }

    /// Whether trying again cannot help.
    pub(super) fn is_final(&self) -> bool {
        let store = self.cause.downcast_ref::<StoreError>();
        matches!(store, Some(StoreError::Closed | StoreError::Schema { .. })) || self.cause.is::<CheckpointMoved>()
    }

    /// Whether the store was closed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.cause.downcast_ref(), Some(StoreError::Closed))
    }

    /// Where the checkpoint was found, if it was not where it had been left.
    pub(super) fn found(&self) -> Option<Position> {
        self.cause.downcast_ref().map(|moved: &CheckpointMoved| moved.found)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ProjectionError {
    fn from(error: E) -> Self {
        Self { error_type: error_type(&error), cause: Box::new(error) }
    }
}

impl fmt::Display for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

impl fmt::Debug for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.cause, f)
    }
}

/// A projection's checkpoint is not where the sender of a batch had left it; nothing of the batch was applied.
///
/// Events between the two places may be missing from the read model, or would be applied twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of projection `{projection}` was left at {expected} and is at {found}; \
     run the projection in one place only, or give one of those of that name another"
)]
#[non_exhaustive]
pub struct CheckpointMoved {
    /// The projection.
    pub projection: &'static str,
    /// Where the sender had left it.
    pub expected: Position,
    /// Where it is.
    pub found: Position,
}

impl CheckpointMoved {
    pub(super) fn new(projection: &'static str, expected: Position, found: Position) -> Self {
        Self { projection, expected, found }
    }
}

/// A projection does not run any more, or does not get there in time.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionStopped {
    /// A step failed, and failed again when it was retried, with nothing of it committed; or the projection's task could
    /// not go on: it panicked, its store was closed, or something else moved its checkpoint.
    #[error("projection `{projection}` stopped after position {checkpoint}; mend the cause and start it again")]
    Failed {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed.
        checkpoint: Position,
        /// What went wrong.
        source: std::sync::Arc<dyn Error + Send + Sync + 'static>,
    },
    /// The deadline passed before the projection got there.
    #[error("projection `{projection}` is at position {checkpoint}, {wanted} was wanted in time")]
    Late {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed.
        checkpoint: Position,
        /// The position that was waited for.
        wanted: Position,
    },
    /// The runner was shut down before the projection got there.
    #[error("projection `{projection}` was shut down at position {checkpoint}")]
    ShutDown {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed.
        checkpoint: Position,
    },
    /// The projection had not stopped when the deadline of the shut-down passed, and its task was aborted.
    #[error("projection `{projection}` did not stop in time and was aborted after position {checkpoint}")]
    Aborted {
        /// The projection.
        projection: &'static str,
        /// The last position that is known to be applied and committed.
        checkpoint: Position,
    },
}
