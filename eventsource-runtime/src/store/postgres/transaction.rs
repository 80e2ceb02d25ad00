//! What a projection writes with.

use std::fmt;
use std::ops::Deref;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

/// The transaction of a projection's batch: the projection's writes and its checkpoint are committed together.
///
/// It begins and ends around the steps; a step that ends it itself fails the batch. Everything else that the driver's
/// transaction can do is reached through `Deref`.
pub struct PostgresTransaction<'t> {
    transaction: Transaction<'t>,
}

impl<'t> PostgresTransaction<'t> {
    pub(super) fn new(transaction: Transaction<'t>) -> Self {
        Self { transaction }
    }

    pub(super) fn into_inner(self) -> Transaction<'t> {
        self.transaction
    }

    /// Runs one statement and tells how many rows it changed. The prepared statement is kept for the next time.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.transaction.prepare_cached(sql).await?;
        self.transaction.execute(&statement, params).await
    }

    /// Runs statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn execute_batch(&self, sql: &str) -> Result<(), Error> {
        self.transaction.batch_execute(sql).await
    }
}

impl<'t> Deref for PostgresTransaction<'t> {
    type Target = Transaction<'t>;

    fn deref(&self) -> &Transaction<'t> {
        &self.transaction
    }
}

impl fmt::Debug for PostgresTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresTransaction")
    }
}
