//! Why a projection no longer runs, or did not get where it was waited for.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::error::ProjectionError;
use crate::store::Position;

/// A projection no longer runs, or did not get there in time.
///
/// Its text says where it stopped; why is its [`source`](std::error::Error::source), with sources in turn. Print them
/// too:
///
/// ```
/// use std::error::Error;
/// use std::iter::successors;
///
/// fn with_causes(error: &dyn Error) -> String {
///     let causes = successors(error.source(), |&cause| cause.source());
///     causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
/// }
/// # let error = eventsource_runtime::store::StoreError::backend("load a stream", "nobody is there");
/// # assert!(with_causes(&error).ends_with("load a stream: nobody is there"));
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionStopped {
    /// A step failed, also when retried, with nothing of it committed; or the projection's task could not continue: it
    /// panicked, its store was closed, or something else moved its checkpoint.
    #[error("`{projection}` stopped after position {checkpoint}{}; mend the cause and start it again", at(*event))]
    #[non_exhaustive]
    Failed {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed. Positions between this and that of the event hold nothing
        /// for the projection.
        checkpoint: Position,
        /// The event whose step failed; `None` if it was not a step.
        event: Option<Position>,
        /// A short, stable name of what went wrong.
        error_type: Cow<'static, str>,
        /// Whether it cannot help to start the projection again: see [`ProjectionStopped::is_permanent`].
        permanent: bool,
        /// What went wrong.
        source: Arc<dyn Error + Send + Sync + 'static>,
    },
    /// The deadline passed before the projection got there.
    #[error("projection `{projection}` {}; wait longer, or see what holds it up", late(*checkpoint, *wanted))]
    #[non_exhaustive]
    Late {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed.
        checkpoint: Position,
        /// The position that was waited for.
        wanted: Position,
    },
    /// The runner was shut down before the projection got there.
    #[error("projection `{projection}` was shut down at position {checkpoint}; start it again")]
    #[non_exhaustive]
    ShutDown {
        /// The projection.
        projection: &'static str,
        /// The last position that was applied and committed.
        checkpoint: Position,
    },
    /// The projection had not stopped when the deadline of the shut-down passed, and its task was aborted.
    #[error(
        "projection `{projection}` did not stop in time and was aborted after position {checkpoint}; it goes on from there"
    )]
    #[non_exhaustive]
    Aborted {
        /// The projection.
        projection: &'static str,
        /// The last position that is known to be applied and committed.
        checkpoint: Position,
    },
}

impl ProjectionStopped {
    pub(super) fn failed(projection: &'static str, checkpoint: Position, error: ProjectionError) -> Self {
        let (event, permanent) = (error.event(), error.is_permanent() || error.is_closed());
        let (error_type, source) = error.into_parts();
        Self::Failed { projection, checkpoint, event, error_type, permanent, source: source.into() }
    }

    /// The projection's name.
    #[must_use]
    pub fn projection(&self) -> &'static str {
        let (Self::Failed { projection, .. }
        | Self::Late { projection, .. }
        | Self::ShutDown { projection, .. }
        | Self::Aborted { projection, .. }) = self;
        projection
    }

    /// The last position that is known to be applied and committed.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        let (Self::Failed { checkpoint, .. }
        | Self::Late { checkpoint, .. }
        | Self::ShutDown { checkpoint, .. }
        | Self::Aborted { checkpoint, .. }) = self;
        *checkpoint
    }

    /// The event whose step failed; `None` if it was not a step that stopped the projection.
    #[must_use]
    pub fn event(&self) -> Option<Position> {
        match self {
            Self::Failed { event, .. } => *event,
            _ => None,
        }
    }

    /// Whether it cannot help to start the projection again on the same store, as far as the runtime knows: a step or
    /// the set-up failed, or what was asked for cannot be, until somebody mends it; or the store was closed, or the bus
    /// of a relay shut down, and has to be opened again. Not if a store was in trouble, others appended to a stream
    /// without a pause or another runner was in the way; nor if the projection did not fail, but is late, was shut down
    /// or aborted.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Failed { permanent: true, .. })
    }

    /// A short, stable name for telemetry: of what went wrong, or `timeout`, `shut_down` or `aborted`.
    #[must_use]
    pub fn error_type(&self) -> &str {
        match self {
            Self::Failed { error_type, .. } => error_type,
            Self::Late { .. } => "timeout",
            Self::ShutDown { .. } => "shut_down",
            Self::Aborted { .. } => "aborted",
        }
    }
}

/// Shows its message, and of its cause no more than the message: its `Debug` may quote what was to be written.
impl fmt::Debug for ProjectionStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectionStopped({self}")?;
        if let Self::Failed { source, .. } = self {
            write!(f, ": {source}")?;
        }
        f.write_str(")")
    }
}

/// The event at fault, if it is one.
fn at(event: Option<Position>) -> String {
    event.map(|event| format!(", at the event at position {event}")).unwrap_or_default()
}

/// How late a projection is: if there was nothing to apply, it has not even been set up.
fn late(checkpoint: Position, wanted: Position) -> String {
    if checkpoint < wanted {
        format!("is at position {checkpoint}, {wanted} was wanted in time")
    } else {
        "was not set up in time".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::{Envelope, StoredEvent};
    use crate::projection::error::Refused;
    use crate::projection::{CheckpointMoved, PartitionsChanged};
    use crate::store::{StoreError, StreamId, Version};

    fn refused() -> ProjectionError {
        Refused { _row: "secret" }.into()
    }

    #[test]
    fn debug_quotes_nothing_that_display_does_not() {
        let stopped = format!("{:?}", ProjectionStopped::failed("P", Position::new(1), refused()));
        assert!(stopped.ends_with("a row is refused)") && !stopped.contains("secret"), "{stopped}");
    }

    #[test]
    fn a_failure_tells_which_event_and_the_name_of_the_error() {
        let place = (StreamId::new("Order", 42), Version::new(3), Position::new(7));
        let envelope = Envelope::new(Uuid::now_v7(), place, ("OrderPlaced", 1), Timestamp::from_micros(0));
        let event = StoredEvent::new(envelope, "{}".into());
        let stopped = ProjectionStopped::failed("P", Position::new(4), refused().at(&event));
        assert_eq!((stopped.projection(), stopped.checkpoint().get()), ("P", 4));
        assert_eq!((stopped.event(), stopped.error_type()), (Some(Position::new(7)), "Refused"));
        assert_eq!(
            stopped.to_string(),
            "`P` stopped after position 4, at the event at position 7; mend the cause and start it again"
        );
    }

    #[test]
    fn a_projection_is_started_again_unless_somebody_has_to_mend_the_cause() {
        let failed = |error| ProjectionStopped::failed("P", Position::new(4), error).is_permanent();
        assert!(failed(refused()));
        assert!(failed(PartitionsChanged::new("P", 2, 4).into()));
        assert!(failed(StoreError::Closed.into()) && failed(ProjectionError::store(StoreError::Closed)));
        assert!(!failed(ProjectionError::store(StoreError::backend("apply a batch", "nobody is there"))));
        assert!(!failed(ProjectionError::overtaken(Refused { _row: "" })));
        assert!(!failed(CheckpointMoved::new("P", Position::new(4), Position::new(7)).into()));
        let (projection, checkpoint) = ("P", Position::new(4));
        assert!(!ProjectionStopped::Late { projection, checkpoint, wanted: Position::new(7) }.is_permanent());
        assert!(!ProjectionStopped::ShutDown { projection, checkpoint }.is_permanent());
        assert!(!ProjectionStopped::Aborted { projection, checkpoint }.is_permanent());
    }
}
