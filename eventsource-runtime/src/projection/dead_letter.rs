//! Dead letters: events that a projection could not apply, set aside so that the others continue.

use std::sync::Arc;

use super::error::ProjectionError;
use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::store::{Position, StreamId, Version};

/// How much of an error's text a dead letter keeps, in bytes.
const LONGEST_REASON: usize = 1024;
/// What is said of an event that was not tried.
const PARKED: &str = "parked";

/// An event that was set aside: where it is, and why. The event itself stays in its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event's stream.
    pub stream: StreamId,
    /// The event's place in its stream.
    pub version: Version,
    /// The event's place in the feed, which identifies the letter.
    pub position: Position,
    /// The stored name of the event's type.
    pub event_type: Arc<str>,
    /// A short, stable name of the failure; `parked` for an event that was not tried, because an earlier one of its
    /// stream is a dead letter.
    pub error_type: String,
    /// What was wrong, up to a kibibyte: what [`ProjectionError::new`] was given; the message of a
    /// [`StoreError`](crate::store::StoreError), a [`DecodeError`](crate::domain::DecodeError) or a
    /// [`DispatchJsonError`](crate::dispatch::DispatchJsonError); or what `PostgreSQL` said of a statement, without the
    /// values that it quotes. Of any other error, such as one of `SQLite`'s driver or of a `RAISE`, only the name is
    /// kept, since its text may be confidential.
    pub reason: String,
    /// How many times the event was retried before it was set aside.
    pub retries: u32,
    /// When it was set aside, by the runner's clock.
    pub at: Timestamp,
}

impl DeadLetter {
    /// A letter for an event that failed.
    pub(crate) fn failed(event: &StoredEvent, error: &ProjectionError, retries: u32, at: Timestamp) -> Self {
        let mut reason = error.reason();
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        Self::new(event, error.error_type(), reason, retries, at)
    }

    /// A letter for an event whose stream has one already.
    #[must_use]
    pub fn parked(event: &StoredEvent, at: Timestamp) -> Self {
        Self::new(event, PARKED, "an earlier event of its stream is a dead letter".to_owned(), 0, at)
    }

    fn new(event: &StoredEvent, error_type: &str, reason: String, retries: u32, at: Timestamp) -> Self {
        Self {
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            event_type: Arc::clone(&event.event_type),
            error_type: error_type.to_owned(),
            reason,
            retries,
            at,
        }
    }

    /// Whether the event was not tried, because an earlier one of its stream is a dead letter.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.error_type == PARKED
    }
}

/// Which dead letters of a projection to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Letters {
    /// Only those of one stream.
    pub stream: Option<StreamId>,
    /// Only those of events after this position.
    pub after: Position,
    /// At most this many.
    pub limit: usize,
}
