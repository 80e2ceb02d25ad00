//! Event stores: the port, its types, and the stores that come with the crate.
//!
//! A store keeps streams. Each event has a [`Version`] in its stream, from 1 and without holes, and a [`Position`] in
//! the store's global feed. Appends are all or nothing; the feed shows every committed event exactly once, in order of
//! position, and never lets one appear behind a reader.
//!
//! [`EventStore`] is open: implement it for a store of your own and wrap that in [`Traced`], which adds the spans and
//! metrics that all stores have in common.

mod append;
mod call;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod columns;
mod handed_on;
mod head;
mod interning;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod reading;
mod repetition;
#[cfg(feature = "sqlite")]
mod sqlite;
mod status;
mod stream_id;
mod traced;
mod version;

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

pub(crate) use append::place_before;
pub use append::{AppendError, Appended, Conflict, MAX_APPEND, MAX_PAYLOAD, NewEvent, Origin};
pub(crate) use call::{Call as TracedCall, Fault};
pub(crate) use handed_on::handed_on;
pub use memory::{Memory, MemoryStore, MemoryTransaction};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresError, PostgresOptions, PostgresStore, PostgresTransaction};
pub use reading::{EventFeed, StreamEvents, Subscription};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteOptions, SqliteReader, SqliteStore, SqliteTransaction, Synchronous};
pub(crate) use status::status_code;
pub use stream_id::{InvalidStreamId, MAX_STREAM_ID, StreamId};
pub(crate) use traced::AGAIN;
pub use traced::Traced;
pub use version::{ExpectedVersion, Position, Version};

use crate::domain::{DecodeError, EventRef, StoredEvent};
use crate::error::{About, BoxError, say};
use crate::telemetry::names;

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
    /// The database refuses what it was given, and would refuse it again: a value that it cannot keep, or one that
    /// breaks a rule of its tables.
    #[error("the store refused to {attempt}{}; change what was given", About(about))]
    Refused {
        /// What was attempted.
        attempt: &'static str,
        /// On what: set by [`StoreError::about`], and empty where nobody did.
        about: Box<str>,
        /// What the back end said.
        source: BoxError,
    },
    /// The database, the file or the network failed.
    #[error("the store failed while it tried to {attempt}{}", About(about))]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do: set by [`StoreError::about`], and empty where nobody did.
        about: Box<str>,
        /// What the back end said.
        source: BoxError,
    },
}

impl StoreError {
    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Says what a failed or refused call was about; a failure gets advice as well. What was said before is kept, and
    /// any other error stays as it is. Name a stream, a version, a position or a projection, never a payload or a
    /// connection. [`Traced`] does so for the reads, appends and snapshots of the store that it is around.
    ///
    /// ```
    /// # use eventsource_runtime::store::StoreError;
    /// let error = StoreError::backend("load a stream", "no connection").about(|| "`Order-42`".into(), "read it again");
    /// assert_eq!(error.to_string(), "the store failed while it tried to load a stream: `Order-42`; read it again");
    /// ```
    #[must_use]
    pub fn about(mut self, on: impl FnOnce() -> String, advice: &str) -> Self {
        match &mut self {
            Self::Backend { about, .. } => say(about, || format!("{}; {advice}", on())),
            // What to do about a refusal is said already, and is not to try again.
            Self::Refused { about, .. } => say(about, on),
            Self::Decode(_) | Self::Closed | Self::Schema { .. } => {}
        }
        self
    }

    /// A refusal of the back end.
    pub fn refused(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Refused { attempt, about: Box::default(), source: source.into() }
    }

    /// Whether the store is in trouble. Otherwise it works, and it is what was asked of it that cannot be done.
    pub(crate) fn is_trouble(&self) -> bool {
        !matches!(self, Self::Decode(_) | Self::Refused { .. })
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::Closed => "closed",
            Self::Schema { .. } => "schema",
            Self::Refused { .. } => "refused",
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
    /// `db.namespace`.
    pub namespace: Option<Arc<str>>,
    /// The target of what is logged.
    pub(crate) target: &'static str,
}

impl StoreInfo {
    /// A store within the process.
    #[must_use]
    pub const fn in_process(collection: &'static str) -> Self {
        Self { system: None, collection, server: None, namespace: None, target: names::LOG_STORE }
    }

    /// A database, by the name that the semantic conventions have for it.
    #[must_use]
    pub const fn database(system: &'static str, collection: &'static str) -> Self {
        Self { system: Some(system), collection, server: None, namespace: None, target: names::LOG_STORE }
    }
}

/// Takes the events of a stream, one after the other. Users may implement it; [`EventStore::fold`] calls it.
///
/// It moves to wherever the store reads, which may be the thread that writes: it must not block, and must never wait for
/// what this store does.
pub trait Visitor: Send + 'static {
    /// Takes one event; `Break` ends the reading.
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()>;
}

/// For a visitor that is large, and moves through several hands.
impl<V: Visitor + ?Sized> Visitor for Box<V> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        (**self).visit(event)
    }
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
    /// Where the append that stored [`Fold::first_event`] ended, if the stream has it. A store then visits nothing. One
    /// that needs several reads checks again after the last, because the append may land in between; some of its events
    /// may then have been visited. If `None`, none of them was.
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

    /// The stored names of the events that it shows, unless it shows all: for a store that filters where its events
    /// are.
    #[must_use]
    pub fn listed_event_types(&self) -> Option<&[&'static str]> {
        self.event_types.as_deref()
    }

    /// The types of the aggregates whose events it shows, unless it shows all.
    #[must_use]
    pub fn listed_aggregate_types(&self) -> Option<&[&'static str]> {
        self.aggregate_types.as_deref()
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

/// A store of events. Open for implementation; the crate's own are [`MemoryStore`], `SqliteStore` and `PostgresStore`.
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

    /// At most `limit` events of a stream, after a version and in order; fewer before the stream's end too, but not
    /// none. Stores that read into memory end a page when its payloads come to some 4 MiB.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// At most `limit` events of the global feed, after a position and in order.
    ///
    /// The page may be shorter, or empty, before the feed's end: only `scanned == after` says that there is no more. It
    /// ends by its payloads as a stream's does.
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
