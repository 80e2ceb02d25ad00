//! Event stores: the port, its types, and the stores that come with the crate.
//!
//! A store keeps streams. Each event has a [`Version`] in its stream, from 1 and without holes, and a [`Position`] in
//! the store's global feed. Appends are all or nothing; the feed shows every committed event exactly once, in order of
//! position, and never lets one appear behind a reader.
//!
//! [`EventStore`] is open: implement it for a store of your own and wrap that in [`Traced`], which adds the spans and
//! metrics that all stores have in common.

mod head;
mod memory;
mod reading;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stream_id;
mod traced;

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

pub use memory::{Memory, MemoryStore, MemoryTransaction};
pub use reading::{EventFeed, StreamEvents, Subscription};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteOptions, SqliteReader, SqliteStore, SqliteTransaction, Synchronous};
pub use stream_id::StreamId;
pub use traced::Traced;

use crate::clock::Timestamp;
use crate::domain::{AnyEvent, DecodeError, EncodeError, EventRef, Metadata, StoredEvent};
use crate::error::BoxError;
use crate::telemetry::TraceContext;

/// The longest payload that a store takes, in bytes: 8 MiB.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const START: Self = Self(0);

            /// The number as a type.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }

        impl PartialEq<u64> for $name {
            fn eq(&self, other: &u64) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
number! {
    /// The place of an event in its stream, from 1 and without holes; the version of an aggregate is that of its last
    /// event, 0 before the first.
    Version
}
number! {
    /// The place of an event in the store's global feed. Positions ascend in the order in which events become visible;
    /// they may have holes.
    Position
}

/// What an append expects of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Nothing: append at the end, wherever that is.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has events.
    Exists,
    /// The last event has this version; `Exact(Version::START)` is the same as `NoStream`.
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream at `actual` is what was expected.
    #[must_use]
    pub fn admits(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::START,
            Self::Exists => actual > Version::START,
            Self::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no_stream"),
            Self::Exists => f.write_str("exists"),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

/// What the events of one append have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// When they are recorded.
    pub recorded_at: Timestamp,
    /// Shared by all that follows from one first message.
    pub correlation_id: Option<Uuid>,
    /// The command or event that led to them.
    pub causation_id: Option<Uuid>,
    /// What the application keeps beside them.
    pub metadata: Metadata,
    /// The trace in which they are persisted.
    pub trace_context: Option<TraceContext>,
}

impl Origin {
    /// Events recorded at `recorded_at`, in the trace that is current where this is called.
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
    /// Unique in the world; an append that is retried with the same ids is stored once.
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
    /// The event cannot be written as JSON.
    pub fn encode(id: Uuid, event: &dyn AnyEvent, origin: Arc<Origin>) -> Result<Self, EncodeError> {
        let payload = event.encode()?.into();
        Ok(Self { id, event_type: event.name(), schema_version: event.version(), payload, origin })
    }
}

/// Without the payload, which may hold anything.
impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent").field("id", &self.id).field("event_type", &self.event_type).finish_non_exhaustive()
    }
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
    /// Whether an earlier append had stored the very same events, so that this one changed nothing.
    pub repeated: bool,
}

impl Appended {
    /// `events` events, the last at `version` and `position`.
    #[must_use]
    pub const fn new(version: Version, position: Position, events: u64) -> Self {
        Self { version, position, events, repeated: false }
    }

    /// The result of an append that had been made before.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// Somebody else appended first: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{stream}` is at version {actual}, expected {expected}; load it again and decide anew")]
#[non_exhaustive]
pub struct Conflict {
    /// The stream.
    pub stream: StreamId,
    /// What the append expected.
    pub expected: ExpectedVersion,
    /// What it found.
    pub actual: Version,
}

impl Conflict {
    /// A stream that is not where the append expected it.
    #[must_use]
    pub fn new(stream: StreamId, expected: ExpectedVersion, actual: Version) -> Self {
        Self { stream, expected, actual }
    }
}

/// Nothing was appended, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is not where the append expected it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// An event id is already in the store, with other content or in another place.
    #[error("event {id} of `{stream}` is already stored with other content; give each event an id of its own")]
    IdempotencyMismatch {
        /// The stream of the append.
        stream: StreamId,
        /// The event that is there already.
        id: Uuid,
    },
    /// A payload is longer than [`MAX_PAYLOAD`]. Told before any input or output.
    #[error(
        "a `{event_type}` of {size} bytes for `{stream}` is longer than {MAX_PAYLOAD}; keep large content elsewhere"
    )]
    TooLarge {
        /// The stream of the append.
        stream: StreamId,
        /// The stored name of the event's type.
        event_type: &'static str,
        /// The payload's length in bytes.
        size: usize,
    },
    /// An event cannot be written as JSON.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    /// Refuses payloads that are too long, before any input or output.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] for the first such event.
    pub fn check_sizes(stream: &StreamId, events: &[NewEvent]) -> Result<(), Self> {
        match events.iter().find(|event| event.payload.len() > MAX_PAYLOAD) {
            None => Ok(()),
            Some(event) => {
                Err(Self::TooLarge { stream: stream.clone(), event_type: event.event_type, size: event.payload.len() })
            }
        }
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::IdempotencyMismatch { .. } => "idempotency_mismatch",
            Self::TooLarge { .. } => "too_large",
            Self::Encode(_) => "encode",
            Self::Store(error) => error.error_type(),
        }
    }
}

/// A store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A stored event cannot be read by this program.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store was closed while, or before, it was asked.
    #[error("the store is closed; open it again")]
    Closed,
    /// What the store keeps is not what this version of the crate writes.
    #[error("the store's schema has version {found}, this program knows up to {known}; use a newer program")]
    Schema {
        /// The version in the store.
        found: u32,
        /// The newest version that the program knows.
        known: u32,
    },
    /// The database, the file or the network failed.
    #[error("the store failed while it tried to {attempt}")]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// What the back end said.
        source: BoxError,
    },
}

impl StoreError {
    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, source: source.into() }
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::Closed => "closed",
            Self::Schema { .. } => "schema",
            Self::Backend { .. } => "backend",
        }
    }
}

/// What telemetry says of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// `db.system.name`; `None` for a store within the process, whose spans are INTERNAL.
    pub system: Option<&'static str>,
    /// `db.collection.name`.
    pub collection: &'static str,
    /// `server.address` and `server.port`, without credentials.
    pub server: Option<(Arc<str>, u16)>,
}

impl StoreInfo {
    /// A store within the process.
    #[must_use]
    pub const fn in_process(collection: &'static str) -> Self {
        Self { system: None, collection, server: None }
    }

    /// A database, by the name that the semantic conventions have for it.
    #[must_use]
    pub const fn database(system: &'static str, collection: &'static str) -> Self {
        Self { system: Some(system), collection, server: None }
    }
}

/// Takes the events of a stream, one after the other. Users may implement it; [`EventStore::fold`] calls it.
///
/// It moves to wherever the store reads, which may be another thread.
pub trait Visitor: Send + 'static {
    /// Takes one event; `Break` ends the reading.
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()>;
}

/// Which part of a stream to fold.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The stream.
    pub stream: StreamId,
    /// The version after which to begin.
    pub after: Version,
    /// The id that the first event of a command has, if the command was handled before.
    pub first_event: Option<Uuid>,
}

/// What a fold came to.
#[derive(Debug)]
pub struct Folded<V> {
    /// The visitor, after the last event that it took.
    pub visitor: V,
    /// How many events it took.
    pub visited: u64,
    /// Where the append ended that stored [`Fold::first_event`]; then nothing was visited.
    pub earlier: Option<Appended>,
}

/// Which events of the global feed to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    event_types: Option<Arc<[&'static str]>>,
    aggregate_types: Option<Arc<[&'static str]>>,
}

impl Filter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events of these stored names.
    #[must_use]
    pub fn event_types(self, names: impl Into<Arc<[&'static str]>>) -> Self {
        Self { event_types: Some(names.into()), ..self }
    }

    /// Only events of aggregates of these types.
    #[must_use]
    pub fn aggregate_types(self, names: impl Into<Arc<[&'static str]>>) -> Self {
        Self { aggregate_types: Some(names.into()), ..self }
    }

    /// Whether the filter shows an event.
    #[must_use]
    pub fn shows(&self, event_type: &str, aggregate_type: &str) -> bool {
        let listed = |names: &Option<Arc<[&str]>>, name| names.as_ref().is_none_or(|names| names.contains(&name));
        listed(&self.event_types, event_type) && listed(&self.aggregate_types, aggregate_type)
    }
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// The last position that was looked at, shown by the filter or not; where the next page begins.
    pub scanned: Position,
}

/// A store of events. Open for implementation; the crate's own are [`MemoryStore`] and `SqliteStore`.
///
/// Every future may be dropped at any point: that leaves no lock, no transaction and no part of an append behind,
/// though an append whose future was dropped may have been made.
pub trait EventStore: Clone + Send + Sync + 'static {
    /// What telemetry says of the store.
    fn info(&self) -> StoreInfo;

    /// Appends events to a stream, all or none.
    ///
    /// Made again with the same event ids and content it returns the first result, whatever version is expected.
    /// Appending nothing changes nothing and checks the expectation; its result is where the stream stands.
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Shows a stream's events to a visitor, in order of version. Memory stays bounded however long the stream is.
    fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> impl Future<Output = Result<Folded<V>, StoreError>> + Send;

    /// At most `limit` events of a stream, after a version and in order.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// At most `limit` events of the global feed, after a position and in order.
    ///
    /// The page may be shorter, or empty, before the feed's end: only `scanned == after` says that there is no more.
    fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// The position of the last committed event.
    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// Waits until an event may have been committed after `position`. It may return early, never late by more than
    /// the store's polling interval.
    fn changed(&self, position: Position) -> impl Future<Output = ()> + Send;
}
