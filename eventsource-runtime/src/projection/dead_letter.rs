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
    /// [`StoreError`](crate::store::StoreError), a [`DecodeError`](crate::domain::DecodeError), a
    /// [`DispatchJsonError`](crate::dispatch::DispatchJsonError) or a
    /// [`ChainTooLong`](crate::dispatch::ChainTooLong); or what `PostgreSQL` said of a statement, without the
    /// values that it quotes. Of any other error, such as one of `SQLite`'s driver or of a `RAISE`, only the name is
    /// kept, since its text may be confidential.
    pub reason: String,
    /// How many times the event was retried before it was set aside.
    pub retries: u32,
    /// When it was set aside, by the runner's clock.
    pub at: Timestamp,
}

impl DeadLetter {
    /// A letter that a store reads back: the event's stream, version and position, the stored name of its type, the
    /// failure's name and reason, how many times the event was retried, and when it was set aside.
    ///
    /// ```
    /// use eventsource_runtime::clock::Timestamp;
    /// use eventsource_runtime::projection::DeadLetter;
    /// use eventsource_runtime::store::{Position, StreamId, Version};
    ///
    /// let place = (StreamId::new("Order", 42), Version::new(1), Position::new(7));
    /// let failure = ("Refused".to_owned(), "`Refused`; what it said is not kept".to_owned());
    /// let letter = DeadLetter::new(place, "OrderPlaced", failure, 5, Timestamp::from_micros(0));
    /// assert_eq!((letter.version.get(), letter.is_parked()), (1, false));
    /// ```
    #[must_use]
    pub fn new(
        (stream, version, position): (StreamId, Version, Position),
        event_type: impl Into<Arc<str>>,
        (error_type, reason): (String, String),
        retries: u32,
        at: Timestamp,
    ) -> Self {
        Self { stream, version, position, event_type: event_type.into(), error_type, reason, retries, at }
    }

    /// A letter for an event that failed.
    pub(crate) fn failed(event: &StoredEvent, error: &ProjectionError, retries: u32, at: Timestamp) -> Self {
        let mut reason = error.reason();
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        Self::of(event, (error.error_type().to_owned(), reason), retries, at)
    }

    /// A letter for an event whose stream has one already.
    #[must_use]
    pub fn parked(event: &StoredEvent, at: Timestamp) -> Self {
        let reason = "an earlier event of its stream is a dead letter";
        Self::of(event, (PARKED.to_owned(), reason.to_owned()), 0, at)
    }

    fn of(event: &StoredEvent, failure: (String, String), retries: u32, at: Timestamp) -> Self {
        let place = (event.stream.clone(), event.version, event.position);
        Self::new(place, Arc::clone(&event.event_type), failure, retries, at)
    }

    /// Whether the event was not tried, because an earlier one of its stream is a dead letter.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.error_type == PARKED
    }
}

/// Which dead letters of a projection to list, for whoever calls a [`ProjectionStore`](super::ProjectionStore) itself;
/// [`DeadLetters`](super::DeadLetters) makes them.
///
/// ```
/// use eventsource_runtime::projection::Letters;
/// use eventsource_runtime::store::{Position, StreamId};
///
/// let first = Letters::new(100);
/// assert_eq!((first.stream, first.after, first.limit), (None, Position::START, 100));
/// let next = Letters::new(100).of_stream(StreamId::new("Order", 42)).after(Position::new(7));
/// assert_eq!((next.stream, next.after.get()), (Some(StreamId::new("Order", 42)), 7));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Letters {
    /// Only those of one stream.
    pub stream: Option<StreamId>,
    /// Only those of events after this position.
    pub after: Position,
    /// At most this many.
    pub limit: usize,
}

impl Letters {
    /// The first letters of the projection, `limit` at most.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { stream: None, after: Position::START, limit }
    }

    /// Only those of one stream.
    #[must_use]
    pub fn of_stream(self, stream: StreamId) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Only those of events after a position, for the next page.
    #[must_use]
    pub fn after(self, position: Position) -> Self {
        Self { after: position, ..self }
    }
}
