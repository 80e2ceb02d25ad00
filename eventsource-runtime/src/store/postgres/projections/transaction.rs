//! The transaction of a batch: how it begins and ends, and whose fault it is if it cannot.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction as Inner};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use super::super::{Postgres, PostgresError, PostgresTransaction};
use super::pipeline::Pipeline;
use crate::domain::StoredEvent;
use crate::projection::{Batch, LeaseLost, Projection, ProjectionError, StepResult, sought};
use crate::store::status::causes;
use crate::store::{StoreError, is_trouble};

/// For how many terms of its lease a transaction may stand still: then the server ends it, so that the rows that it has
/// changed are free for the lease's next holder.
const STANDSTILLS: u32 = 3;
/// But not sooner: a busy machine takes its time between two statements.
const LEAST_STANDSTILL: Duration = Duration::from_secs(1);
/// The longest that the server accepts is 24 days.
const LONGEST_STANDSTILL: Duration = Duration::from_hours(24 * 12);
/// How long a transaction under no lease may stand still. It runs the store's own statements one after the other, or
/// steps, which have a beat: none that is alive stands still for as long.
pub(super) const STANDSTILL: Duration = Duration::from_secs(15);

/// Turns an error of the store's own statements into one that is not the projection's.
pub(super) fn failed(attempt: &'static str) -> impl Fn(tokio_postgres::Error) -> ProjectionError {
    move |error| fault(attempt, PostgresError::from(error))
}

pub(super) fn fault(attempt: &'static str, error: PostgresError) -> ProjectionError {
    ProjectionError::store(StoreError::backend(attempt, error))
}

/// An error of statements that the projection chose, if the server is not in trouble.
pub(super) fn refused(attempt: &'static str, error: PostgresError) -> ProjectionError {
    if error.is_trouble() { fault(attempt, error) } else { said(error) }
}

/// A server's message contains no values of rows, so a dead letter keeps it; but not the text of a `RAISE`, which
/// somebody else wrote.
fn said(error: PostgresError) -> ProjectionError {
    if error.is_raised() { error.into() } else { ProjectionError::from(error).told() }
}

/// How long a transaction may stand still under a lease.
pub(super) fn standstill(term: Duration) -> Duration {
    term.saturating_mul(STANDSTILLS).clamp(LEAST_STANDSTILL, LONGEST_STANDSTILL)
}

/// Has the server end a transaction that stands still for longer.
pub(super) fn ends_after(standstill: Duration) -> String {
    format!("SET LOCAL idle_in_transaction_session_timeout = {}", standstill.as_millis())
}

/// Begins a transaction; dropped, it is rolled back.
pub(super) async fn begin(client: &mut Object) -> Result<PostgresTransaction<'_>, ProjectionError> {
    let begun: Result<Inner<'_>, _> = client.transaction().await;
    Ok(PostgresTransaction::new(begun.map_err(failed("begin a projection's batch"))?))
}

/// Set after the beginning: it still exists at the end if no step has ended the transaction.
pub(super) const SAVEPOINT: &str = "SAVEPOINT eventsource";
/// And looked for at the end.
pub(super) const RELEASE: &str = "RELEASE SAVEPOINT eventsource";

/// Commits if the work succeeded and the checkpoint can be moved; otherwise undoes all of it. `tried` are the events
/// whose steps have run.
pub(super) async fn end<T>(
    tx: PostgresTransaction<'_>,
    result: Result<T, ProjectionError>,
    moves: Option<(&str, &Batch)>,
    tried: &[&StoredEvent],
) -> Result<T, ProjectionError> {
    let value = match result {
        Ok(value) => value,
        Err(error) => return Err(undone(tx, error).await),
    };
    let statements = moves.map_or(RELEASE, |(moves, _)| moves);
    match (tx.simple_query(statements).await, moves) {
        (Ok(said), Some((_, batch))) if moved(&said) == 0 => {
            let lost = LeaseLost::new(batch.partition).into();
            Err(undone(tx, lost).await)
        }
        (Ok(_), _) => {
            let committed = tx.into_inner().commit().await;
            // A deferred constraint, or whatever else is checked only now, is a fault of what was written.
            match committed {
                Ok(()) => Ok(value),
                Err(error) => Err(sought(refused("commit a projection's batch", error.into()), tried)),
            }
        }
        (Err(error), _) => {
            let error = sought(why(error), tried);
            Err(undone(tx, error).await)
        }
    }
}

/// Rolls the transaction back before the connection is lent again; an error of that changes nothing.
async fn undone(tx: PostgresTransaction<'_>, error: ProjectionError) -> ProjectionError {
    let _ = tx.into_inner().rollback().await;
    error
}

/// Why a transaction cannot be completed.
fn why(error: tokio_postgres::Error) -> ProjectionError {
    match error.code() {
        // The savepoint went with its transaction.
        Some(&SqlState::NO_ACTIVE_SQL_TRANSACTION | &SqlState::S_E_INVALID_SPECIFICATION) => {
            ProjectionError::new("a step ended the batch's transaction; leave `COMMIT` and `ROLLBACK` to the store")
        }
        Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => ProjectionError::new(
            "a statement failed and its step went on, though nothing of the batch can be committed then; \
             let the step end with the statement's error",
        ),
        // The statement is the store's own: no event is to blame for a server that refuses it.
        _ => fault("move a checkpoint", error.into()),
    }
}

fn moved(said: &[SimpleQueryMessage]) -> u64 {
    let last = said.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    last.unwrap_or_default()
}

/// Applies events one after the other, and returns whose step failed.
pub(super) async fn apply<'t>(
    tx: &'t PostgresTransaction<'t>,
    projection: &dyn Projection<Postgres>,
    events: &[&StoredEvent],
    standstill: Duration,
) -> StepResult {
    let mut pipeline = Pipeline::new(tx, standstill);
    let mut failure = None;
    for (number, event) in events.iter().enumerate() {
        let stepped = pipeline.run(number, async { projection.apply(event, tx).await }).await;
        if let Err(error) = stepped {
            failure = Some((number, error));
        }
        if failure.is_some() || pipeline.failed() {
            break;
        }
    }
    // What was sent earlier failed earlier.
    let sent = pipeline.finish().await.map(|(number, error)| (number, ProjectionError::from(error)));
    match sent.or(failure) {
        None => Ok(()),
        Some((number, error)) => Err(told(tx, error, events, number)),
    }
}

/// Runs a set-up or a reset, which is not the step of an event.
pub(super) async fn prepare<'t>(
    tx: &'t PostgresTransaction<'t>,
    step: impl Future<Output = StepResult> + Send,
    standstill: Duration,
) -> StepResult {
    let mut pipeline = Pipeline::new(tx, standstill);
    let prepared = pipeline.run(0, step).await;
    let sent = pipeline.finish().await;
    sent.map_or(prepared, |(_, error)| Err(error.into())).map_err(|error| match passing(tx, &error) {
        Some(passing) => fault("run a projection's statements", passing),
        None => readable(error),
    })
}

/// The failure of the step for one of these events, with the server's message.
fn told(
    tx: &PostgresTransaction<'_>,
    error: ProjectionError,
    events: &[&StoredEvent],
    number: usize,
) -> ProjectionError {
    if tx.client().is_closed() {
        // The projection is not to blame for a connection.
        return fault("apply a batch", PostgresError::unavailable(error.to_string()));
    }
    if let Some(passing) = passing(tx, &error) {
        return fault("apply a batch", passing);
    }
    let aborted = Some(SqlState::IN_FAILED_SQL_TRANSACTION.code());
    let is_aborted = server(&error).is_some_and(|server| server.code() == aborted);
    let blamed = if is_aborted { number.div_ceil(2) } else { number };
    match events.get(blamed) {
        Some(event) if error.is_trouble() || is_trouble(error.cause()) => error.at(event),
        // Without a code it is about a parameter or a row: the connection is there.
        Some(event) => readable(error).blaming(event),
        None => error,
    }
}

/// The server's error, if the same statement may succeed another time: a lock is not available, a disk full, there was
/// a deadlock; or the connection kept it from before its table was changed, and does so no more.
fn passing(tx: &PostgresTransaction<'_>, error: &ProjectionError) -> Option<PostgresError> {
    let server = server(error)?;
    if server.is_outdated() {
        tx.forget_statements();
    }
    (server.is_busy() || server.is_outdated()).then_some(server)
}

/// Replaces a driver's error, which says only that there is one, by the server's message.
fn readable(error: ProjectionError) -> ProjectionError {
    match PostgresError::reported(error.cause()) {
        Some(server) => error.retold(refused("run a projection's statements", server)),
        None => error,
    }
}

/// The server's error, however an error of the projection's wraps it.
fn server(error: &ProjectionError) -> Option<PostgresError> {
    causes(error.cause()).find_map(PostgresError::reported)
}
