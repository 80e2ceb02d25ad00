//! What a projection writes with, and what reads it.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use deadpool_postgres::Transaction as Pooled;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Row, Statement, ToStatement, Transaction};

use super::PostgresError;
use crate::sync::Mutex;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 256;

/// What becomes of writes where the store only reads, and what to do.
pub(super) const ONLY_READS: &str =
    "a reader writes nothing; write in a step of a projection, or with a connection of your own";

/// The transaction of a projection's batch: the projection's writes and its checkpoint are committed together.
///
/// It begins and ends around the steps; a step that ends it itself fails the batch. A failed statement makes all later
/// ones fail, so a step should end with its error; a step that continues fails all the same. Everything else that the
/// driver's [`Transaction`] can do is reached through `Deref`. The driver's own names, such as `ToSql`, are in
/// [`store::tokio_postgres`](crate::store::tokio_postgres), in the version that is used here.
///
/// A [`PostgresReader`](super::PostgresReader) gives its closures one that only reads.
///
/// ```
/// # use eventsource_runtime::store::{PostgresTransaction, tokio_postgres};
/// /// Serves projections, and transactions of your own.
/// async fn count(tx: &tokio_postgres::Transaction<'_>) -> Result<i64, tokio_postgres::Error> {
///     Ok(tx.query_one("SELECT count(*) FROM balances", &[]).await?.get(0))
/// }
///
/// async fn step(tx: &PostgresTransaction<'_>) -> Result<i64, tokio_postgres::Error> {
///     count(tx).await
/// }
/// ```
///
/// Each awaited statement is a round trip to the server. [`PostgresTransaction::enqueue`] avoids it.
pub struct PostgresTransaction<'t> {
    transaction: Pooled<'t>,
    /// What is to be sent when the step waits, or ends; nothing ever by one that only reads.
    queued: Option<Mutex<Vec<Queued>>>,
}

/// A statement to be sent.
pub(super) struct Queued {
    pub(super) statement: Statement,
    pub(super) params: Vec<Encoded>,
}

impl<'t> PostgresTransaction<'t> {
    pub(super) fn new(transaction: Pooled<'t>) -> Self {
        Self { transaction, queued: Some(Mutex::default()) }
    }

    /// One that the server refuses writes in, and nobody drives.
    pub(super) fn reading(transaction: Pooled<'t>) -> Self {
        Self { transaction, queued: None }
    }

    pub(super) fn into_inner(self) -> Pooled<'t> {
        self.transaction
    }

    /// Sends a statement without waiting for its answer, so that a batch does not wait for a round trip per event.
    ///
    /// It takes effect in order with the statements that this type's own methods run, before it and after it, in this
    /// step and in the next; methods of the driver that are reached through `Deref` may overtake it. A failure is found
    /// before anything is committed, and is then that of the step that enqueued the statement. The prepared statement
    /// is kept for the next time.
    ///
    /// ```no_run
    /// # use eventsource_runtime::prelude::*;
    /// # use eventsource_runtime::store::PostgresTransaction;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct Deposited { cents: i64 }
    /// struct Balances;
    ///
    /// #[projection]
    /// impl Balances {
    ///     async fn deposited(
    ///         &self,
    ///         event: &Recorded<Deposited>,
    ///         tx: &PostgresTransaction<'_>,
    ///     ) -> Result<(), ProjectionError> {
    ///         let upsert = "INSERT INTO balances AS old VALUES ($1, $2) \
    ///             ON CONFLICT (account) DO UPDATE SET cents = old.cents + excluded.cents";
    ///         Ok(tx.enqueue(upsert, &[&event.aggregate_id(), &event.cents]).await?)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// PostgreSQL refuses the statement, a parameter does not have the type that it expects, or the transaction only
    /// reads.
    pub async fn enqueue(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<(), PostgresError> {
        let Some(queued) = &self.queued else { return Err(PostgresError::new(ONLY_READS)) };
        let statement = self.prepare_cached(sql).await.map_err(|error| PostgresError::of_statement(&error))?;
        let params = encoded(&statement, params)?;
        queued.lock().push(Queued { statement, params });
        Ok(())
    }

    /// Runs one statement and returns how many rows it changed. The prepared statement is kept for the next time.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.prepare_cached(sql).await?;
        self.in_turn().await;
        self.transaction.execute(&statement, params).await
    }

    /// Runs statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn execute_batch(&self, sql: &str) -> Result<(), Error> {
        self.in_turn().await;
        self.transaction.batch_execute(sql).await
    }

    /// Runs a query, as the driver's method of the same name.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn query<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.in_turn().await;
        self.transaction.query(statement, params).await
    }

    /// Runs a query that has one row, as the driver's method of the same name.
    ///
    /// # Errors
    /// What PostgreSQL says, or that the number of rows is not one; in a step, `?` ends the batch with it.
    pub async fn query_one<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.in_turn().await;
        self.transaction.query_one(statement, params).await
    }

    /// Runs a query that has at most one row, as the driver's method of the same name.
    ///
    /// # Errors
    /// What PostgreSQL says, or that there are several rows; in a step, `?` ends the batch with it.
    pub async fn query_opt<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.in_turn().await;
        self.transaction.query_opt(statement, params).await
    }

    /// Prepares a statement, or takes it from those that the connection keeps for its later transactions too. All are
    /// forgotten once there are 256, as there are if values are written into statements.
    ///
    /// # Errors
    /// What PostgreSQL says; in a step, `?` ends the batch with it.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        // The server keeps each for as long as the connection lasts.
        if self.transaction.statement_cache.size() >= STATEMENTS {
            self.forget_statements();
        }
        self.transaction.prepare_cached(sql).await
    }

    /// Has statements prepared anew, by this and by the connection's later transactions.
    pub(super) fn forget_statements(&self) {
        self.transaction.statement_cache.clear();
    }

    /// Waits until the driver of the step has sent what was enqueued, which it does each time that the step waits.
    async fn in_turn(&self) {
        poll_fn(|task| {
            if self.queued.as_ref().is_none_or(|queued| queued.lock().is_empty()) {
                return Poll::Ready(());
            }
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Takes what is to be sent, into an empty list.
    pub(super) fn take_queued(&self, taken: &mut Vec<Queued>) {
        if let Some(queued) = &self.queued {
            std::mem::swap(&mut *queued.lock(), taken);
        }
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

/// A parameter in its wire format, so that it outlives the value it was made from.
pub(super) struct Encoded {
    bytes: Option<Bytes>,
    format: Format,
}

fn encoded(statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Encoded>, PostgresError> {
    let types = statement.params();
    if types.len() != params.len() {
        let (wanted, given) = (types.len(), params.len());
        return Err(PostgresError::new(format!("the statement has {wanted} parameters, {given} were given")));
    }
    let mut buffer = BytesMut::new();
    let mut encoded = Vec::with_capacity(params.len());
    for (number, (param, wanted)) in params.iter().zip(types).enumerate() {
        let is_null = param.to_sql_checked(wanted, &mut buffer).map_err(|error| {
            PostgresError::new(format!("parameter {} cannot be written as `{wanted}`: {error}", number + 1))
        })?;
        let bytes = buffer.split().freeze();
        let bytes = if matches!(is_null, IsNull::Yes) { None } else { Some(bytes) };
        encoded.push(Encoded { bytes, format: param.encode_format(wanted) });
    }
    Ok(encoded)
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.bytes {
            None => IsNull::Yes,
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

/// Omits the value.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoded")
    }
}
