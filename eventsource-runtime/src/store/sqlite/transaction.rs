//! What a projection writes with.

use std::fmt;
use std::ops::Deref;

use rusqlite::{Connection, Params};

/// The transaction of a projection's batch, on the thread that writes: the projection's writes and its checkpoint are
/// committed together.
///
/// It begins and ends around the steps; a step that ends it itself fails the batch. Everything else that a connection
/// can do is reached through `Deref`. The driver's own names are in [`store::rusqlite`](crate::store::rusqlite), so that
/// you need not depend on it: there can be only one version of it.
pub struct SqliteTransaction<'a> {
    connection: &'a Connection,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// Runs one statement and returns how many rows it changed. The prepared statement is kept for the next time, with
    /// a plan that does not depend on the values: see [`SqliteReader::read`](super::SqliteReader::read).
    ///
    /// # Errors
    /// What `SQLite` says; in a step, `?` ends the batch with it.
    pub fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Runs statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// What `SQLite` says; in a step, `?` ends the batch with it.
    pub fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }
}

impl Deref for SqliteTransaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl fmt::Debug for SqliteTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteTransaction")
    }
}
