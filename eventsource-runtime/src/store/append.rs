//! What goes into an append, what comes out, and why it may fail.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{AGAIN, ExpectedVersion, Position, StoreError, StreamId, Version, is_trouble, is_undone, remedy};
use crate::clock::Timestamp;
use crate::domain::{AnyEvent, EncodeError, Metadata};
use crate::telemetry::TraceContext;

/// The longest payload that a store takes, in bytes: 8 MiB.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// The longest append that a store takes: 256 MiB of payloads and of the metadata of each event together. What is sent
/// to a database in one statement is bounded as well.
pub const MAX_APPEND: usize = 256 * 1024 * 1024;

/// What the events of one append have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// When they are recorded.
    pub recorded_at: Timestamp,
    /// Shared by everything that follows from one first message.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to them.
    pub causation_id: Option<Uuid>,
    /// What the application stores beside them.
    pub metadata: Metadata,
    /// The trace in which they are persisted.
    pub trace_context: Option<TraceContext>,
}

impl Origin {
    /// Events recorded at `recorded_at`, in the current trace.
    #[must_use]
    pub fn at(recorded_at: Timestamp) -> Self {
        Self {
            recorded_at,
            correlation_id: None,
            causation_id: None,
            metadata: Metadata::default(),
            trace_context: TraceContext::current(),
        }
    }
}

/// An event on its way into a store.
#[derive(Clone, PartialEq)]
pub struct NewEvent {
    /// Globally unique; an append that is retried with the same ids is stored once.
    pub id: Uuid,
    /// The stored name of the event's type.
    pub event_type: &'static str,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The payload, kept byte for byte.
    pub payload: Bytes,
    /// What it shares with the other events of the append.
    pub origin: Arc<Origin>,
}

impl NewEvent {
    /// Writes an event as JSON.
    ///
    /// # Errors
    /// The event cannot be written as JSON, or its type cannot read it back.
    pub fn encode(id: Uuid, event: &dyn AnyEvent, origin: Arc<Origin>) -> Result<Self, EncodeError> {
        let payload = event.encode()?.into();
        Ok(Self { id, event_type: event.name(), schema_version: event.version(), payload, origin })
    }

    /// Its size, as far as the user determines it.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.origin.metadata.bytes()
    }
}

/// Omits the payload, which may hold anything.
impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent").field("id", &self.id).field("event_type", &self.event_type).finish_non_exhaustive()
    }
}

/// The place of the event `back` before the last of its append: the versions and positions of an append are
/// consecutive.
pub(crate) fn place_before((version, position): (Version, Position), back: u64) -> (Version, Position) {
    (Version::new(version.get().saturating_sub(back)), Position::new(position.get().saturating_sub(back)))
}

/// Where an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The version of the last event.
    pub version: Version,
    /// The position of the last event.
    pub position: Position,
    /// How many events were appended.
    pub events: u64,
    /// Whether an earlier append had stored the same events, so that this one changed nothing.
    pub repeated: bool,
}

impl Appended {
    /// `events` events, the last at `version` and `position`.
    #[must_use]
    pub const fn new(version: Version, position: Position, events: u64) -> Self {
        Self { version, position, events, repeated: false }
    }

    /// The result of an append that was made before.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// Another writer appended first: nothing was changed.
#[derive(Clone, Debug, Eq, thiserror::Error)]
#[error("`{stream}` is at version {actual}, expected {expected}; load it again and decide anew")]
#[non_exhaustive]
pub struct Conflict {
    /// The stream.
    pub stream: StreamId,
    /// What the append expected.
    pub expected: ExpectedVersion,
    /// What it found.
    pub actual: Version,
    outdated: bool,
}

/// Whatever the command's context named: what was found, and what was expected.
impl PartialEq for Conflict {
    fn eq(&self, other: &Self) -> bool {
        let facts = |conflict: &Self| (conflict.expected, conflict.actual);
        self.stream == other.stream && facts(self) == facts(other)
    }
}

impl Conflict {
    /// A stream that is not where the append expected it.
    #[must_use]
    pub fn new(stream: StreamId, expected: ExpectedVersion, actual: Version) -> Self {
        Self { stream, expected, actual, outdated: false }
    }

    /// Whether the aggregate was not at the version that the command's context names
    /// ([`Context::expected_version`](crate::dispatch::Context::expected_version)), so that it cannot help to dispatch
    /// the command again with the same context. Otherwise others were faster, as often as it was tried.
    #[must_use]
    pub const fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// The conflict of a command whose context names this version.
    pub(crate) fn with_context(self, expected: Option<ExpectedVersion>) -> Self {
        let outdated = expected.is_some_and(|expected| !expected.admits(self.actual));
        Self { outdated, ..self }
    }
}

/// Why an append failed. Nothing was appended, unless the store failed before it said so: then the events may have been
/// appended after all, and repeating the append with the same event ids tells.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is not where the append expected it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// An event id is already in the store, with other content or in another place.
    #[error(
        "event {id} of `{stream}` is already stored with other content; give each event an id of its own, and each \
             command"
    )]
    #[non_exhaustive]
    IdempotencyMismatch {
        /// The stream of the append.
        stream: StreamId,
        /// The event that is there already.
        id: Uuid,
    },
    /// A payload is longer than [`MAX_PAYLOAD`], or it and its metadata make the whole append longer than
    /// [`MAX_APPEND`]. Reported before any I/O.
    #[error("{}", too_large(stream, event_type, *size))]
    #[non_exhaustive]
    TooLarge {
        /// The stream of the append.
        stream: StreamId,
        /// The stored name of the event's type.
        event_type: &'static str,
        /// The payload's length in bytes.
        size: usize,
    },
    /// A text beside the payload contains a NUL, which some back ends cannot store in text, so no store accepts it.
    /// Reported before any I/O.
    #[error("the {place} of an append to `{}` holds a NUL; leave it out", stream.as_str().replace('\0', "\u{2400}"))]
    #[non_exhaustive]
    HoldsNul {
        /// The stream of the append.
        stream: StreamId,
        /// Which text: `stream id` or `event type`.
        place: &'static str,
    },
    /// The stream has a name that no store accepts: its aggregate type is empty or contains a hyphen, or it is longer
    /// than [`MAX_STREAM_ID`](super::MAX_STREAM_ID). Reported before any I/O.
    #[error("`{:.64}` is not a name for a stream: {fault}; give its aggregate another type or id", stream.as_str())]
    #[non_exhaustive]
    InvalidStream {
        /// The stream of the append.
        stream: StreamId,
        /// What is wrong with its name.
        fault: &'static str,
    },
    /// An event cannot be written as JSON, or cannot be read back.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The store failed. All events may have been appended, or none. The error of the store is the source as well.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What to do about a store that failed to append.
fn advice(error: &StoreError) -> Cow<'static, str> {
    const IN_DOUBT: &str =
        "it may have been made: append the same event ids again, or dispatch the command again with its id";
    if is_undone(error) {
        format!("nothing was stored: {}", remedy(error).unwrap_or(AGAIN)).into()
    } else {
        IN_DOUBT.into()
    }
}

fn too_large(stream: &StreamId, event_type: &str, size: usize) -> String {
    if size > MAX_PAYLOAD {
        return format!(
            "an event `{event_type}` of {size} bytes for `{stream}` is longer than {MAX_PAYLOAD}; keep large content \
             elsewhere"
        );
    }
    format!(
        "with an event `{event_type}` of {size} bytes, an append to `{stream}` is longer than {MAX_APPEND}; append in \
         parts"
    )
}

impl AppendError {
    /// An append of an event whose id is already in the store, with other content or in another place.
    #[must_use]
    pub const fn mismatch(stream: StreamId, id: Uuid) -> Self {
        Self::IdempotencyMismatch { stream, id }
    }

    /// The conflict, if it is one.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// Whether a retry cannot help: no store in trouble is behind the error, for which the same append may be repeated,
    /// and no conflict, after which the stream is to be loaded again, unless it
    /// [is outdated](Conflict::is_outdated).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.conflict().is_none_or(Conflict::is_outdated) && !is_trouble(self)
    }

    /// Refuses what no store accepts, before any I/O: payloads and names that are too long, streams whose aggregate
    /// type is empty or contains a hyphen, and texts with a NUL. A store calls this first.
    ///
    /// # Errors
    /// [`AppendError::HoldsNul`], [`AppendError::InvalidStream`], or [`AppendError::TooLarge`] for the first such
    /// event.
    pub fn check(stream: &StreamId, events: &[NewEvent]) -> Result<(), Self> {
        let nul = |place| Self::HoldsNul { stream: stream.clone(), place };
        if stream.holds_nul() {
            return Err(nul("stream id"));
        }
        if let Some(fault) = stream.fault() {
            return Err(Self::InvalidStream { stream: stream.clone(), fault });
        }
        let mut all = 0_usize;
        for event in events {
            let size = event.payload.len();
            all = all.saturating_add(event.bytes());
            if size > MAX_PAYLOAD || all > MAX_APPEND {
                return Err(Self::TooLarge { stream: stream.clone(), event_type: event.event_type, size });
            }
            if event.event_type.as_bytes().contains(&0) {
                return Err(nul("event type"));
            }
        }
        Ok(())
    }

    /// Adds the stream to the error of an append, if the store or an event's `Serialize` failed.
    pub(crate) fn to(self, stream: &StreamId, expected: ExpectedVersion) -> Self {
        match self {
            Self::Store(error) => {
                let advice = advice(&error);
                Self::Store(error.about(|| format!("`{stream}`, expected {expected}"), &advice))
            }
            Self::Encode(error) => Self::Encode(error.of(stream)),
            other => other,
        }
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::IdempotencyMismatch { .. } => "idempotency_mismatch",
            Self::TooLarge { .. } => "too_large",
            Self::HoldsNul { .. } => "holds_nul",
            Self::InvalidStream { .. } => "invalid_stream",
            Self::Encode(_) => "encode",
            Self::Store(error) => error.error_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is written beside each event.
    #[test]
    fn metadata_counts_for_each_event_of_an_append() {
        let mut origin = Origin::at(Timestamp::from_micros(0));
        origin.metadata = Metadata::default().with("note", "x".repeat(1024 * 1024));
        let origin = Arc::new(origin);
        let event = || NewEvent {
            id: Uuid::now_v7(),
            event_type: "Noted",
            schema_version: 1,
            payload: Bytes::new(),
            origin: Arc::clone(&origin),
        };
        let stream = StreamId::new("Notes", 1);
        let check = |count: usize| AppendError::check(&stream, &(0..count).map(|_| event()).collect::<Vec<_>>());
        assert!(check(255).is_ok());
        assert!(matches!(check(256), Err(AppendError::TooLarge { .. })));
    }
}
