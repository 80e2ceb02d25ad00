//! Reading the database with the application's own SQL.

use std::fmt;
use std::sync::Arc;

use futures_util::future::join;
use tokio::time::timeout;
use tokio_postgres::{Error, IsolationLevel};

use super::connections::{ANSWERED, Fault, NOT_OURS};
use super::transaction::ONLY_READS;
use super::{PostgresError, PostgresTransaction, Shared};
use crate::store::StoreError;

/// What is attempted, for errors.
const QUERY: &str = "run a query";

/// Reads the database with SQL of your own, made by [`PostgresStore::reader`](super::PostgresStore::reader). Cloning is
/// cheap; the store stays open while a reader lives.
#[derive(Clone)]
pub struct PostgresReader {
    pub(super) shared: Arc<Shared>,
}

impl PostgresReader {
    /// Runs a closure with a transaction that only reads: all its queries see what was committed when the first of them
    /// began. Tables are found by the role's `search_path`, as those of projections are. The transaction's
    /// `prepare_cached` keeps a statement for the connection's later transactions. Leave `COMMIT` and `ROLLBACK` to the
    /// reader.
    ///
    /// It takes one of the connections with which the store reads, never one that is known to be lost: after a restart
    /// of the server or a failover, new ones are made. Commands are loaded with the same connections, as many as
    /// [`PostgresOptions::connections`](super::PostgresOptions::connections) says: closures that take long, such as
    /// reports, or that wait for something else, hold them up. Run those with a pool of your own.
    ///
    /// If the future is dropped, what it has running on the server is cancelled after a second at most. A panic in the
    /// closure continues in the caller.
    ///
    /// ```no_run
    /// # use eventsource_runtime::store::{PostgresReader, StoreError};
    /// async fn balance(reader: &PostgresReader, account: &str) -> Result<Option<i64>, StoreError> {
    ///     let found = reader.read(async |tx| {
    ///         let statement = tx.prepare_cached("SELECT cents FROM balances WHERE account = $1").await?;
    ///         tx.query_opt(&statement, &[&account]).await?.map(|row| row.try_get(0)).transpose()
    ///     });
    ///     found.await
    /// }
    /// ```
    ///
    /// # Errors
    /// The closure's error: [`StoreError::Backend`] if it is about the server or the connection to it, as for a store
    /// in trouble, or once for a kept statement whose tables have got other columns; otherwise [`StoreError::Refused`],
    /// such as for a table or a row that is not there, and for a statement that writes. Or there is no connection to be
    /// had, or the store is closed.
    pub async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&PostgresTransaction<'_>) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let failing = |error: Error| Fault::from(error).attempt(QUERY);
        let mut client = self.shared.pools.readers.lend().await.map_err(|fault| fault.attempt(QUERY))?;
        let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let tx = PostgresTransaction::reading(transaction.start().await.map_err(failing)?);
        // Pipelined, with one wait for both.
        let (set, read) = join(tx.batch_execute(NOT_OURS), read(&tx)).await;
        let read = set.and(read).map_err(|error| failed(&tx, &error));
        // It also undoes settings that the closure made. Behind a statement that the closure did not wait for, the
        // answer may take long: then the connection is given up.
        if let Ok(Ok(())) = timeout(ANSWERED, tx.into_inner().rollback()).await {
            drop(client.free());
        }
        read
    }
}

/// What is said of a statement that was not the store's.
fn failed(tx: &PostgresTransaction<'_>, error: &Error) -> StoreError {
    let said = PostgresError::of_statement(error);
    if said.is_read_only() {
        // Elsewhere it tells of a server that takes no writes.
        return StoreError::refused(QUERY, PostgresError::new(format!("{said}; {ONLY_READS}")));
    }
    if said.is_outdated() {
        tx.forget_statements();
    }
    if said.is_trouble() || said.is_outdated() {
        StoreError::backend(QUERY, said)
    } else {
        StoreError::refused(QUERY, said)
    }
}

/// Shows where it reads, without credentials.
impl fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReader").field("server", &self.shared.info.server).finish_non_exhaustive()
    }
}
