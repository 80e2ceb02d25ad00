//! The store in a `SQLite` file.
//!
//! One thread owns the connection that writes. Appends that wait for it are committed together, which is what makes
//! many of them cheap; each still succeeds or fails on its own. A few threads read, each with its own connection. No
//! call blocks a thread of the async runtime, for a lock or the disk, for longer than a glance (below).
//!
//! A command that has the store to itself is handed from thread to thread, which may take longer than its statements.
//! So if jobs follow each other, the writer thread polls for the next one for a tenth of a millisecond. Meanwhile it
//! reads short streams itself, whose pages it has in memory, and its only caller polls for the answer for up to a
//! quarter of a millisecond, letting other tasks run every 20 microseconds. An idle store sleeps, and so do callers
//! that come one by one at leisure, or many at a time. While somebody waits for the feed, one looks at the file for
//! all, ten times a second.
//!
//! Several processes may use one file. Their writes take turns: a writer that waits for the lock tries every half
//! millisecond, and one that never idles releases it for a millisecond every 50 ms. Each process sees what the others
//! have committed after about a tenth of a second. A file that was moved or deleted takes nothing more, within a
//! second.

mod append;
mod connection;
mod fold;
mod log;
#[cfg(unix)]
mod moved;
mod numbers;
mod options;
mod projections;
mod queue;
mod read;
mod schema;
mod snapshots;
mod threads;
mod transaction;
mod turns;
#[cfg(not(unix))]
mod unmoved;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, NewEvent, Page, Position, StoreError,
    StoreInfo, StreamId, Traced, Version, Visitor,
};
use crate::domain::StoredEvent;
use crate::telemetry::names;
use crate::timer;
use connection::{OPEN, Setting};
use fold::{FEW, Folding};
pub use options::{SqliteOptions, Synchronous};
pub(super) use projections::is_trouble;
use threads::Threads;
pub use transaction::SqliteTransaction;
#[cfg(not(unix))]
use unmoved as moved;

/// How often to look for another process's commits while anybody waits.
const POLL: Duration = Duration::from_millis(100);

/// A store in a `SQLite` file, with its spans and metrics.
pub type SqliteStore = Traced<Sqlite>;

impl Traced<Sqlite> {
    /// Opens the store in a file, which is created if it does not exist, with the default options.
    ///
    /// The path `:memory:` opens a private store that ends with its last handle. Its one connection serves reads and
    /// writes in turn: `SQLite` can share such a database between connections only under table locks that make readers
    /// fail.
    ///
    /// ```
    /// # use eventsource_runtime::store::SqliteStore;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let store = SqliteStore::open(":memory:").await?;
    /// # Ok::<(), eventsource_runtime::store::StoreError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`SqliteStore::open_with`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteOptions::default()).await
    }

    /// Opens the store in a file with options.
    ///
    /// # Errors
    /// The path is empty, the file cannot be opened or is not a database, it cannot have a write-ahead log where it is,
    /// or its schema is newer than this program.
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        // SQLite would create a private file that ends with its connection.
        if path.as_ref().as_os_str().is_empty() {
            return Err(StoreError::refused(OPEN, "its path is empty; write the path of a file, or `:memory:`"));
        }
        let threads = Threads::start(path.as_ref(), options.clone()).await?;
        Ok(Self::over(Sqlite { threads: Arc::new(threads), options, aside: None }))
    }

    /// Reads the database with SQL of your own, for queries over read models.
    #[must_use]
    pub fn reader(&self) -> SqliteReader {
        SqliteReader { threads: Arc::clone(&self.inner().threads) }
    }

    /// Closes the store for all its handles and waits until its connections are closed. Earlier calls are still
    /// completed; later ones end with [`StoreError::Closed`].
    ///
    /// Dropping the last handle closes the store as well, without waiting, and so does a step or a closure that the
    /// store itself runs.
    pub async fn close(&self) {
        self.inner().threads.close().await;
    }
}

/// The store in a `SQLite` file. [`SqliteStore`] is the same with its spans and metrics.
#[derive(Clone)]
pub struct Sqlite {
    threads: Arc<Threads>,
    options: SqliteOptions,
    /// Set on a store in which a read model is built beside that of another.
    aside: Option<Arc<projections::Aside>>,
}

impl EventStore for Sqlite {
    fn info(&self) -> StoreInfo {
        StoreInfo { target: names::LOG_SQLITE, ..StoreInfo::database("sqlite", "events") }
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        AppendError::check(stream, &events)?;
        let _waits = self.threads.waiting();
        self.threads.append(stream, expected, events).await
    }

    async fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        let mut folding = Folding::new(fold, visitor);
        let _waits = self.threads.waiting();
        if self.threads.writer_is_free() {
            let begun =
                self.threads.read_at_once(move |connection, abandoned| folding.step(connection, FEW, abandoned));
            folding = match begun.await??.ended() {
                Ok(folded) => return Ok(folded),
                Err(folding) => folding,
            };
        }
        self.threads.read(move |connection, abandoned| folding.finish(connection, abandoned)).await?
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let stream = stream.clone();
        self.threads.read(move |connection, _| read::stream(connection, &stream, after, limit)).await?
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let filter = filter.clone();
        self.threads.read(move |connection, _| read::all(connection, after, &filter, limit)).await?
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.threads.read(|connection, _| read::head(connection)).await?
    }

    async fn changed(&self, position: Position) {
        // Nobody else can write to memory. Without a timer, what other processes append is noticed with this one's next
        // append.
        if self.threads.is_alone() || !timer::is_there() {
            return self.threads.head().beyond(position).await;
        }
        while tokio::time::timeout(POLL, self.threads.head().beyond(position)).await.is_err() {
            if !self.threads.is_to_look(POLL) {
                continue;
            }
            match self.head().await {
                Ok(head) => self.threads.head().publish(head),
                // The waiting caller reads next, and gets the error there.
                Err(_) => return,
            }
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.threads.path()).finish_non_exhaustive()
    }
}

/// Reads the database with SQL of your own, made by [`SqliteStore::reader`]. Cloning is cheap; the store stays open
/// while a reader lives.
#[derive(Clone)]
pub struct SqliteReader {
    threads: Arc<Threads>,
}

impl SqliteReader {
    /// Runs a closure with a connection, on a reader thread. The connection refuses writes, sees what is committed, and
    /// is shared with other readers: use `prepare_cached` and leave no transaction open. `SQLite` plans without looking
    /// at bound values, so that no statement is prepared again for them: for an index to be used, write out the
    /// beginning of a `LIKE`, and the condition of a partial index.
    ///
    /// Commands are loaded on the same threads, as many as [`SqliteOptions::readers`] says: closures that take long, such
    /// as reports, hold them up. Run those on a connection of your own, opened for reading.
    ///
    /// If the future is dropped before the closure began, it is not run. A panic in the closure continues in the
    /// caller.
    ///
    /// ```
    /// use eventsource_runtime::store::SqliteStore;
    /// use eventsource_runtime::store::rusqlite::OptionalExtension;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let reader = SqliteStore::open(":memory:").await?.reader();
    /// // Without `optional()`, a row that is not there would be an error.
    /// let definition: Option<String> = reader
    ///     .read(|connection| {
    ///         let mut table = connection.prepare_cached("SELECT sql FROM sqlite_schema WHERE name = ?1")?;
    ///         table.query_row(["order_views"], |row| row.get(0)).optional()
    ///     })
    ///     .await?;
    /// assert_eq!(definition, None);
    /// # Ok::<(), eventsource_runtime::store::StoreError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The closure's error: [`StoreError::Backend`] if it is about the disk, the file or the memory, as for a store in
    /// trouble; otherwise [`StoreError::Refused`], such as for a table or a row that is not there. Or the store is
    /// closed.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let alone = self.threads.is_alone();
        let guarded = move |connection: &rusqlite::Connection, _: &dyn Fn() -> bool| {
            // A connection that may write.
            let _only = alone.then(|| Setting::new(connection, "query_only", 1)).transpose()?;
            read(connection)
        };
        let result = self.threads.read(guarded).await?;
        result.map_err(|error| {
            let attempt = "run a query";
            if is_trouble(&error) { StoreError::backend(attempt, error) } else { StoreError::refused(attempt, error) }
        })
    }
}

impl fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteReader").field("path", &self.threads.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// It was looked at ten times a second, by each of those who wait.
    #[tokio::test(start_paused = true)]
    async fn a_store_in_memory_is_not_looked_at_while_nobody_appends() {
        let store = SqliteStore::open(":memory:").await.unwrap();
        let (mut changed, mut polls) = (pin!(store.changed(Position::START)), 0);
        let waiting = poll_fn(|task| {
            polls += 1;
            changed.as_mut().poll(task)
        });
        assert!(tokio::time::timeout(10 * POLL, waiting).await.is_err());
        assert!(polls <= 2, "{polls}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_looks_at_the_file_for_all_who_wait() {
        let store = SqliteStore::open(":memory:").await.unwrap();
        let looked = || (0..3).filter(|_| store.inner().threads.is_to_look(POLL)).count();
        for (passed, expected) in [(Duration::ZERO, 1), (POLL / 2, 0), (POLL / 2, 1), (3 * POLL, 1)] {
            tokio::time::advance(passed).await;
            assert_eq!(looked(), expected);
        }
    }

    /// It waited for ever where there is no timer, and elsewhere for the next look at the file.
    #[test]
    fn who_waits_for_the_feed_is_told_at_once_that_the_store_is_closed() {
        let file = std::env::temp_dir().join(format!("eventsource-closed-{}.db", uuid::Uuid::now_v7()));
        for is_timed in [false, true] {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = if is_timed { runtime.enable_time() } else { &mut runtime }.build().unwrap();
            for path in [Path::new(":memory:"), &file] {
                runtime.block_on(async {
                    let store = SqliteStore::open(path).await.unwrap();
                    let mut changed = pin!(store.changed(Position::START));
                    let mut task = Context::from_waker(Waker::noop());
                    assert!(changed.as_mut().poll(&mut task).is_pending());
                    store.inner().threads.stop();
                    assert!(changed.poll(&mut task).is_ready());
                    store.close().await;
                    store.changed(Position::START).await;
                });
            }
        }
        std::fs::remove_file(file).unwrap();
    }
}
