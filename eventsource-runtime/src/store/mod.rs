//! Event stores: the port, its types, and the stores that come with the crate.
//!
//! A store keeps streams. Each event has a [`Version`] in its stream, from 1 and without gaps, and a [`Position`] in
//! the store's global feed. Appends are all or nothing. The feed shows every committed event exactly once, in order of
//! position, and no event ever appears behind a reader.
//!
//! [`EventStore`] is open: implement it for a store of your own and wrap that in [`Traced`], which adds the spans and
//! metrics common to all stores.

mod append;
mod call;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod columns;
mod delegate;
mod filter;
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

#[cfg(feature = "sqlite")]
#[doc(no_inline)]
pub use ::rusqlite;
#[cfg(feature = "postgres")]
#[doc(no_inline)]
pub use ::tokio_postgres;
pub(crate) use append::place_before;
pub use append::{AppendError, Appended, Conflict, MAX_APPEND, MAX_PAYLOAD, NewEvent, Origin};
pub(crate) use call::{Call as TracedCall, Fault};
pub(crate) use delegate::delegate;
pub use filter::Filter;
pub use memory::{Memory, MemoryStore, MemoryTransaction};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresError, PostgresOptions, PostgresReader, PostgresStore, PostgresTransaction};
pub use reading::{EventFeed, StreamEvents, Subscription};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteOptions, SqliteReader, SqliteStore, SqliteTransaction, Synchronous};
pub(crate) use status::{
    drivers_name, is_trouble, is_undone, known_name, remedy, status_code, unreadable, wrong_statement,
};
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
    /// The store was closed before or during the call.
    #[error("the store is closed; open it again")]
    Closed,
    /// The store's schema is newer than this version of the crate.
    #[error("the store's schema has version {found}, this program knows up to {known}; use a newer program")]
    #[non_exhaustive]
    Schema {
        /// The version in the store.
        found: u32,
        /// The newest version that the program knows.
        known: u32,
    },
    /// The database refuses its input, and would refuse it again: a value that it cannot store, or one that violates a
    /// rule of its tables.
    #[error("the store refused to {attempt}{}; change what was given", About(about))]
    #[non_exhaustive]
    Refused {
        /// What was attempted.
        attempt: &'static str,
        /// On what: set by [`StoreError::about`], otherwise empty.
        about: Box<str>,
        /// The back end's error.
        source: BoxError,
    },
    /// The database, the file or the network failed.
    #[error("the store failed while it tried to {attempt}{}", About(about))]
    #[non_exhaustive]
    Backend {
        /// What was attempted.
        attempt: &'static str,
        /// On what, and what to do: set by [`StoreError::about`], otherwise empty.
        about: Box<str>,
        /// The back end's error.
        source: BoxError,
    },
}

impl StoreError {
    /// A schema that is newer than this program.
    #[must_use]
    pub const fn schema(found: u32, known: u32) -> Self {
        Self::Schema { found, known }
    }

    /// A failure of the back end.
    pub fn backend(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend { attempt, about: Box::default(), source: source.into() }
    }

    /// Says what a failed or refused call was about, and for a failure what to do. A text that is already set is kept,
    /// and other errors stay as they are. Name a stream, a version, a position or a projection, never a payload or a
    /// connection. [`Traced`] does this for the appends of its inner store, for the pages that it reads and for its
    /// snapshots. Who folds a stream says which it was, as a [`Repository`](crate::Repository) does.
    ///
    /// ```
    /// # use eventsource_runtime::store::StoreError;
    /// let error = StoreError::backend("load a stream", "no connection").about(|| "`Order-42`".into(), "read it again");
    /// assert_eq!(error.to_string(), "the store failed while it tried to load a stream: `Order-42`; read it again");
    /// ```
    #[must_use]
    pub fn about(mut self, on: impl FnOnce() -> String, advice: &str) -> Self {
        match &mut self {
            Self::Backend { about, source, .. } => say(about, || {
                let helps = if advice == AGAIN { remedy(&**source) } else { None };
                format!("{}; {}", on(), helps.unwrap_or(advice))
            }),
            // A refusal already says what to do, which is not to try again.
            Self::Refused { about, .. } => say(about, on),
            Self::Decode(_) | Self::Closed | Self::Schema { .. } => {}
        }
        self
    }

    /// A refusal of the back end.
    pub fn refused(attempt: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Refused { attempt, about: Box::default(), source: source.into() }
    }

    /// Whether a retry cannot help: the store works, but cannot do what was asked. One that is unreachable, full, closed
    /// or newer than this program is in trouble, which may pass, if only for a program that is started anew.
    ///
    /// ```
    /// # use eventsource_runtime::store::StoreError;
    /// fn status(error: &StoreError) -> u16 {
    ///     if error.is_permanent() { 500 } else { 503 }
    /// }
    /// assert_eq!(status(&StoreError::backend("load a stream", "no connection")), 503);
    /// ```
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !is_trouble(self)
    }

    /// Whether it says itself that the store is in trouble, whatever the back end reported.
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

/// How telemetry describes a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// `db.system.name`; `None` for an in-process store, whose spans are INTERNAL.
    pub system: Option<&'static str>,
    /// `db.collection.name`.
    pub collection: &'static str,
    /// `server.address` and `server.port`, without credentials.
    pub server: Option<(Arc<str>, u16)>,
    /// `db.namespace`.
    pub namespace: Option<Arc<str>>,
    /// The target of log records.
    pub(crate) target: &'static str,
}

impl StoreInfo {
    /// A store within the process.
    #[must_use]
    pub const fn in_process(collection: &'static str) -> Self {
        Self { system: None, collection, server: None, namespace: None, target: names::LOG_STORE }
    }

    /// A database, by its name in the semantic conventions.
    #[must_use]
    pub const fn database(system: &'static str, collection: &'static str) -> Self {
        Self { system: Some(system), collection, server: None, namespace: None, target: names::LOG_STORE }
    }
}

/// Receives the events of a stream, one after the other. Users may implement it; [`EventStore::fold`] calls it.
///
/// It moves to wherever the store reads, which may be the writer thread: it must not block, and must never wait for
/// anything that this store does.
pub trait Visitor: Send + 'static {
    /// Takes one event; `Break` ends the read.
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()>;
}

/// For a large visitor that is moved several times.
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
    /// The version after which to start.
    pub after: Version,
    /// The id that the first event of a command has, if the command was handled before.
    pub first_event: Option<Uuid>,
}

/// The result of a fold.
#[derive(Debug)]
#[non_exhaustive]
pub struct Folded<V> {
    /// The visitor, after the last event that it took.
    pub visitor: V,
    /// How many events it took.
    pub visited: u64,
    /// Where the append that stored [`Fold::first_event`] ended, if the stream has it. A store then visits nothing. A
    /// store that needs several reads checks again after the last one, because the append may land in between; some of
    /// its events may then have been visited. If `None`, none of them was.
    ///
    /// A store need not note which events were appended together: the append ended at the last event, of those that
    /// follow the first one in the stream without a gap, that has the same causation id and the same
    /// [`recorded_at`](crate::Envelope::recorded_at), as the events of one command do.
    pub earlier: Option<Appended>,
}

impl<V> Folded<V> {
    /// A visitor that took `visited` events, and where the append ended whose first event was looked for.
    pub const fn new(visitor: V, visited: u64, earlier: Option<Appended>) -> Self {
        Self { visitor, visited, earlier }
    }
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The events, in order.
    pub events: Vec<StoredEvent>,
    /// The last position examined, shown by the filter or not; the next page starts after it.
    pub scanned: Position,
}

impl Page {
    /// What a filter shows of the feed up to a position.
    #[must_use]
    pub const fn new(events: Vec<StoredEvent>, scanned: Position) -> Self {
        Self { events, scanned }
    }
}

/// A store of events. Open for implementation; the crate's own are [`MemoryStore`], `SqliteStore` and `PostgresStore`.
///
/// A store around another forwards every method, the provided ones of [`SnapshotStore`](crate::snapshot::SnapshotStore)
/// and [`ProjectionStore`](crate::projection::ProjectionStore) too. [`delegate!`](crate::delegate) writes that.
///
/// Every future may be dropped at any point: that leaves no lock, no transaction and no part of an append behind,
/// though the append may still have been made.
///
/// Callers tell from a [`StoreError`] whether to try again: [`backend`](StoreError::backend) is for a database, file or
/// network that failed, [`refused`](StoreError::refused) for what would be refused again, and
/// [`Closed`](StoreError::Closed) for a closed store, at which a projection stops. None of them may quote a payload, or
/// an address with its password.
pub trait EventStore: Clone + Send + Sync + 'static {
    /// How telemetry describes the store.
    fn info(&self) -> StoreInfo;

    /// Appends events to a stream, all or none.
    ///
    /// If repeated with the same event ids and content, it returns the first result, whatever version is expected.
    /// Appending nothing changes nothing but checks the expectation; its result is where the stream stands.
    ///
    /// The events of one append have consecutive positions, so that that of the last one tells all of them. Between two
    /// appends there may be gaps.
    ///
    /// # Errors
    /// - What [`AppendError::check`] refuses, before any I/O.
    /// - [`AppendError::mismatch`] if two events share an id, or if the store has one of the ids, unless this is a
    ///   repetition: it has all of them, one behind the other in this stream, with the same content.
    /// - A [`Conflict`] if it has none of them, and the stream is not where it is `expected`.
    /// - A [`StoreError`] if the store failed. Afterwards all of the events may be stored, or none.
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Passes a stream's events to a visitor, in order of version. Memory stays bounded however long the stream is.
    ///
    /// # Errors
    /// The store could not be read; the visitor, which may have taken some of the events, is lost. A stream without
    /// events is no error: then none is visited. What a visitor cannot decode is its own matter.
    fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> impl Future<Output = Result<Folded<V>, StoreError>> + Send;

    /// At most `limit` events of a stream after a version, in order. Before the stream's end there may be fewer, but at
    /// least one. Stores that read into memory end a page at about 4 MiB of payloads.
    ///
    /// # Errors
    /// The store could not be read. A stream without events is no error, but an empty page.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// At most `limit` events of the global feed after a position, in order.
    ///
    /// The page may be shorter, or empty, before the feed's end: only `scanned == after` means that there are no more.
    /// Its payloads bound it as they bound a page of a stream. With a `limit` of 0 nothing is scanned.
    ///
    /// # Errors
    /// The store could not be read. A position beyond the feed's end is no error, but an empty page that scanned
    /// nothing.
    fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// The position of the last committed event; [`Position::START`] if there is none.
    ///
    /// # Errors
    /// The store could not be read.
    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// Waits until an event may have been committed after `position`. It may return early, and late by at most the
    /// store's polling interval. It must also return once the store is closed or fails: whoever waits then reads, and
    /// gets the error.
    fn changed(&self, position: Position) -> impl Future<Output = ()> + Send;
}
