//! Why a projection's step failed, and why a projection stopped.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::error::{BoxError, error_type};
use crate::store::Position;

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

    /// What a step that panicked ends with.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
        let reason = format!("a step panicked: {}", said.unwrap_or("it did not say why"));
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

    pub(crate) fn into_cause(self) -> BoxError {
        self.cause
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

/// A projection does not run any more, or does not get there in time.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionStopped {
    /// A step failed, and failed again when it was retried; nothing of it was committed.
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
}
