//! Projections on `SQLite`: steps and checkpoint in one transaction, on the writer thread.

mod aside;
mod dead_letters;
mod leases;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use aside::Aside;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use uuid::Uuid;

use super::connection::{Uncommitted, begin, commit, ended, has_tried_to_commit, rollback};
use super::read::signed;
use super::{Sqlite, SqliteTransaction};
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, Backend, Batch, Claim, DeadLetter, Lease, Letters, Partition, PartitionsChanged, Projection,
    ProjectionError, ProjectionStore, StepResult, Took, Transaction, sought,
};
use crate::store::columns::millis;
use crate::store::status::causes;
use crate::store::{Position, StoreError};
use crate::telemetry::Scope;

const STANDING: &str =
    "SELECT position, token FROM projection_partitions WHERE projection = ?1 AND partition = ?2 AND partitions = ?3";
const PARTS: &str = "SELECT count(*), ifnull(min(position), 0), ifnull(max(position), 0) \
    FROM projection_partitions WHERE projection = ?1";
const FORGET_PARTS: &str = "DELETE FROM projection_partitions WHERE projection = ?1";
const NEW_PART: &str = "INSERT INTO projection_partitions (projection, partition, partitions, position, owner, expires) \
    VALUES (?1, ?2, ?3, ?4, '', 0)";
const MOVE: &str = "UPDATE projection_partitions SET position = ?3, expires = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4 \
    WHERE projection = ?1 AND partition = ?2";
/// Emptying a table may take longer than a lease lasts, and another process asks for it right after the commit.
const MOVE_BACK: &str = "UPDATE projection_partitions SET position = 0, \
    expires = max(expires, CAST(unixepoch('subsec') * 1000 AS INTEGER) + 5000) WHERE projection = ?1";

impl Transaction for SqliteTransaction<'static> {
    type Backend = Sqlite;
}

impl Backend for Sqlite {
    type Transaction<'t> = SqliteTransaction<'t>;
    type Step<'a> = StepResult;

    fn ready<'a>(result: StepResult) -> Self::Step<'a> {
        result
    }
}

/// Errors that no event is to blame for.
const TROUBLE: [ErrorCode; 9] = [
    ErrorCode::DatabaseBusy,
    ErrorCode::DiskFull,
    ErrorCode::SystemIoFailure,
    ErrorCode::OutOfMemory,
    ErrorCode::ReadOnly,
    ErrorCode::CannotOpen,
    ErrorCode::DatabaseCorrupt,
    ErrorCode::NotADatabase,
    ErrorCode::FileLockingProtocolFailed,
];

/// Commands wait for the writer while it applies a batch.
const LONGEST_BATCH: Duration = Duration::from_millis(2);
/// From then on a batch is committed in parts, between which commands are handled: its size follows from how long
/// earlier events took, and these may take a thousand times as long.
const LONGEST_PART: Duration = Duration::from_millis(20);
/// After how many events the clock is looked at again, which is done at the first.
const LOOKS_EVERY: usize = 8;

impl ProjectionStore for Sqlite {
    type Backend = Self;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        let open = move |tx: &SqliteTransaction<'_>| {
            let (name, wanted) = (projection.name(), partitions.max(1));
            let (stored, first, last) = failed("look for a projection", parts(tx, name))?;
            if stored == 0 {
                projection.setup(tx).map_err(blamed)?;
            } else if stored == wanted {
                return Ok(());
            } else if first != last {
                return Err(PartitionsChanged::new(name, stored, wanted).into());
            }
            failed("set up a projection", lay_out(tx, name, wanted, if stored == 0 { after } else { first }))
        };
        self.threads.write(|connection| in_transaction(connection, &[], open)).await?
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        let lease = move |connection: &Connection| {
            let found = failed("lease a projection", leases::lease(connection, partition, &claim))?;
            found.ok_or_else(|| no_part(connection, partition))
        };
        self.threads.write(lease).await?
    }

    fn longest_batch(&self) -> Duration {
        LONGEST_BATCH
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let (mut rest, mut parked) = (batch, Vec::new());
        let (mut took, mut longest, mut kept) = (Took::default(), LONGEST_PART, None);
        loop {
            let part = Part { projection: Arc::clone(&projection), batch: rest.clone(), scope: scope.clone(), longest };
            let written = self.threads.write(move |connection| part.write(connection)).await;
            let written = written.map_err(ProjectionError::from).and_then(|written| written);
            let written = written.map_err(|error| error.keeping(kept))?;
            parked.extend(written.parked);
            // What one commit takes, not all of them, says how many events are worth one.
            took = Took { steps: took.steps + written.took.steps, rest: took.rest.max(written.took.rest) };
            if written.until == rest.checkpoint {
                return Ok(Applied { parked, took: Some(took) });
            }
            (rest.events, rest.from, kept) = (rest.events.after(written.until), written.until, Some(written.until));
            longest = LONGEST_PART.max(took.rest);
        }
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let reset = move |tx: &SqliteTransaction<'_>| {
            let name = projection.name();
            leases::check_all(tx, name, token)?;
            projection.reset(tx).map_err(blamed)?;
            let forget = || {
                dead_letters::forget(tx, name)?;
                tx.execute(MOVE_BACK, [name]).map(drop)
            };
            failed("reset a projection", forget())
        };
        self.threads.write(|connection| in_transaction(connection, &[], reset)).await?
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let list = move |connection: &Connection, _: &dyn Fn() -> bool| {
            failed("list dead letters", dead_letters::list(connection, projection, &letters))
        };
        self.threads.read(list).await?
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Self>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        let tried = event.clone();
        let settle = move |tx: &SqliteTransaction<'_>| {
            let remove = if event.is_some() { dead_letters::remove_first } else { dead_letters::remove };
            let removed = remove(tx, projection.name(), position);
            if !failed("remove a dead letter", removed)? {
                return Ok(false);
            }
            if let Some(event) = &event {
                scope.in_scope(|| step(tx, &*projection, event))?;
            }
            Ok(true)
        };
        self.threads.write(move |connection| in_transaction(connection, tried.as_slice(), settle)).await?
    }

    async fn open_aside(&self, projection: &'static str) -> Result<Self, ProjectionError> {
        aside::open(self, projection).await
    }

    async fn swap_aside(&self, projection: &'static str, aside: Self, token: Uuid) -> Result<(), ProjectionError> {
        aside::swap(self, projection, aside, token).await
    }
}

/// Turns an error of the store's own statements into one that is not the projection's.
fn failed<T>(attempt: &'static str, result: rusqlite::Result<T>) -> Result<T, ProjectionError> {
    result.map_err(|error| ProjectionError::store(StoreError::backend(attempt, error)))
}

/// How many parts a projection has, and the first and the last of their positions.
fn parts(tx: &Connection, projection: &str) -> rusqlite::Result<(u32, Position, Position)> {
    tx.prepare_cached(PARTS)?.query_row([projection], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Why there is no such part.
fn no_part(connection: &Connection, partition: Partition) -> ProjectionError {
    match failed("look for a projection", parts(connection, partition.projection)) {
        Ok((stored, ..)) => ProjectionError::no_part(partition, stored),
        Err(error) => error,
    }
}

fn lay_out(tx: &SqliteTransaction<'_>, name: &'static str, count: u32, at: Position) -> rusqlite::Result<()> {
    tx.execute(FORGET_PARTS, [name])?;
    for part in Partition::all(name, count) {
        tx.execute(NEW_PART, params![name, part.index, part.count, signed(at.get())])?;
    }
    Ok(())
}

fn check(tx: &Connection, batch: &Batch) -> Result<(), ProjectionError> {
    let Partition { projection, index, count, .. } = batch.partition;
    let standing = || {
        let mut statement = tx.prepare_cached(STANDING)?;
        let row = statement.query_row(params![projection, index, count], |row| {
            Ok((row.get(0)?, row.get::<_, Option<[u8; 16]>>(1)?.map(Uuid::from_bytes)))
        });
        row.optional()
    };
    let found = failed("read a checkpoint", standing())?;
    let (checkpoint, token) = found.ok_or_else(|| no_part(tx, batch.partition))?;
    batch.check(checkpoint, token)
}

/// What is left of a batch, for one transaction.
struct Part {
    projection: Arc<dyn Projection<Sqlite>>,
    batch: Batch,
    scope: Scope,
    longest: Duration,
}

/// How far a part came.
struct Written {
    parked: Vec<Position>,
    took: Took,
    until: Position,
}

impl Part {
    fn write(mut self, connection: &Connection) -> Result<Written, ProjectionError> {
        let events = self.batch.events.clone();
        let (mut written, begun) = in_transaction(connection, &events, move |tx| {
            check(tx, &self.batch)?;
            let begun = Instant::now();
            let written = self.scope.clone().in_scope(|| self.steps(tx, begun))?;
            if let Some(letter) = &self.batch.set_aside {
                failed("set an event aside", dead_letters::insert(tx, self.projection.name(), letter))?;
            }
            self.batch.checkpoint = written.until;
            failed("move a checkpoint", move_checkpoint(tx, &self.batch))?;
            Ok((written, begun))
        })?;
        written.took = Took::since(begun, written.took.steps);
        Ok(written)
    }

    fn steps(&self, tx: &SqliteTransaction<'_>, begun: Instant) -> Result<Written, ProjectionError> {
        let (name, mut parked, mut until) = (self.projection.name(), Vec::new(), self.batch.checkpoint);
        let any = failed("look for dead letters", dead_letters::has_any(tx, name))?;
        let last = self.batch.events.len().saturating_sub(1);
        for (ordinal, event) in self.batch.events.iter().enumerate() {
            if any && failed("look for dead letters", dead_letters::has_of(tx, name, &event.stream))? {
                let letter = DeadLetter::parked(event, self.batch.at);
                failed("set an event aside", dead_letters::insert(tx, name, &letter))?;
                parked.push(event.position);
            } else {
                step(tx, &*self.projection, event)?;
            }
            if ordinal < last && ordinal.is_multiple_of(LOOKS_EVERY) && begun.elapsed() >= self.longest {
                until = event.position;
                break;
            }
        }
        Ok(Written { parked, took: Took { steps: begun.elapsed(), rest: Duration::ZERO }, until })
    }
}

fn step(tx: &SqliteTransaction<'_>, projection: &dyn Projection<Sqlite>, event: &StoredEvent) -> StepResult {
    let since = ended();
    let step = catch_unwind(AssertUnwindSafe(|| projection.apply(event, tx)));
    let applied = step.unwrap_or_else(|panic| Err(ProjectionError::panicked(&*panic)));
    unless_ended(tx, since, applied).map_err(|error| match blamed(error) {
        error if error.is_trouble() => error,
        error => error.at(event),
    })
}

/// The error of a projection's method, or `SQLite`'s own trouble if that is the cause, however the method wraps it:
/// then no event is to blame, and the same statement may succeed another time.
fn blamed(error: ProjectionError) -> ProjectionError {
    match trouble(error.cause()) {
        Some(own) => ProjectionError::store(StoreError::backend("run a projection's statements", own)),
        None => error,
    }
}

/// `SQLite`'s error about its disk, its file or its memory.
fn trouble(error: &(dyn Error + 'static)) -> Option<rusqlite::Error> {
    causes(error).find_map(|error| match error.downcast_ref()? {
        own @ rusqlite::Error::SqliteFailure(failure, said) if is_trouble(own) => {
            Some(rusqlite::Error::SqliteFailure(*failure, said.clone()))
        }
        _ => None,
    })
}

/// Whether it is `SQLite`'s own trouble, for which no event is to blame.
pub(in crate::store) fn is_trouble(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| TROUBLE.contains(&code))
}

/// The result of steps, unless the transaction is not open any more: `since` is how many had ended when it began. An
/// error that has undone it is the result.
fn unless_ended<T>(tx: &Connection, since: u64, result: Result<T, ProjectionError>) -> Result<T, ProjectionError> {
    let has_ended = match &result {
        Ok(_) => tx.is_autocommit() || ended() != since,
        Err(error) => has_tried_to_commit() && error.event().is_none(),
    };
    if has_ended {
        let reason = "a step ended the batch's transaction, or ignored an error that did; \
            leave `COMMIT` and `ROLLBACK` to the store, and end the step with such an error";
        return Err(ProjectionError::new(reason));
    }
    result
}

fn move_checkpoint(tx: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let Partition { projection, index, .. } = batch.partition;
    let (to, term) = (signed(batch.checkpoint.get()), millis(batch.claim.term));
    tx.prepare_cached(MOVE)?.execute(params![projection, index, to, term]).map(drop)
}

/// Runs steps in a transaction of their own and commits it if they succeed. An error or a panic undoes all of it.
/// `tried` are the events whose steps these are.
fn in_transaction<T>(
    connection: &Connection,
    tried: &[StoredEvent],
    steps: impl FnOnce(&SqliteTransaction<'_>) -> Result<T, ProjectionError>,
) -> Result<T, ProjectionError> {
    failed("begin a projection's batch", begin(connection))?;
    let since = ended();
    let uncommitted = Uncommitted::begin();
    let result = catch_unwind(AssertUnwindSafe(|| steps(&SqliteTransaction::new(connection))));
    drop(uncommitted);
    let result = result.unwrap_or_else(|panic| Err(ProjectionError::panicked(&*panic)));
    match unless_ended(connection, since, result) {
        Ok(value) => match commit(connection) {
            // A deferred constraint, checked only now, is a fault of what was written; the error names no value.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(sought(ProjectionError::from(error).told(), tried))
            }
            committed => failed("commit a projection's batch", committed).map(|()| value),
        },
        Err(error) => {
            rollback(connection);
            Err(error)
        }
    }
}
