//! Projections on `SQLite`: steps and checkpoint in one transaction, on the thread that writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::{begin, commit, rollback};
use super::read::{number, signed};
use super::{Sqlite, SqliteTransaction};
use crate::projection::{Backend, Batch, Projection, ProjectionError, ProjectionStore, StepResult, Transaction};
use crate::store::Position;
use crate::telemetry::Scope;

const CHECKPOINT: &str = "SELECT position FROM projection_checkpoints WHERE projection = ?1";
const MOVE: &str = "INSERT INTO projection_checkpoints (projection, position) VALUES (?1, ?2) \
    ON CONFLICT (projection) DO UPDATE SET position = excluded.position";

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

impl ProjectionStore for Sqlite {
    type Backend = Self;

    async fn open_projection(&self, projection: Arc<dyn Projection<Self>>) -> Result<Position, ProjectionError> {
        let open = move |tx: &SqliteTransaction<'_>| {
            if let Some(checkpoint) = checkpoint(tx, projection.name())? {
                return Ok(checkpoint);
            }
            projection.setup(tx)?;
            move_checkpoint(tx, projection.name(), Position::START)?;
            Ok(Position::START)
        };
        self.threads.write(|connection| in_transaction(connection, open)).await?
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<(), ProjectionError> {
        let apply = move |tx: &SqliteTransaction<'_>| {
            let name = projection.name();
            let checkpoint = checkpoint(tx, name)?.ok_or_else(|| ProjectionError::not_open(name))?;
            batch.check(name, checkpoint)?;
            scope.in_scope(|| batch.events.iter().try_for_each(|event| projection.apply(event, tx)))?;
            move_checkpoint(tx, name, batch.checkpoint)
        };
        self.threads.write(|connection| in_transaction(connection, apply)).await?
    }

    async fn reset_projection(&self, projection: Arc<dyn Projection<Self>>) -> Result<(), ProjectionError> {
        let reset = move |tx: &SqliteTransaction<'_>| {
            let name = projection.name();
            checkpoint(tx, name)?.ok_or_else(|| ProjectionError::not_open(name))?;
            projection.reset(tx)?;
            move_checkpoint(tx, name, Position::START)
        };
        self.threads.write(|connection| in_transaction(connection, reset)).await?
    }
}

fn checkpoint(tx: &Connection, projection: &str) -> Result<Option<Position>, ProjectionError> {
    let position = tx.prepare_cached(CHECKPOINT)?.query_row([projection], |row| number(row, 0)).optional()?;
    Ok(position.map(Position::new))
}

fn move_checkpoint(tx: &Connection, projection: &str, to: Position) -> Result<(), ProjectionError> {
    tx.prepare_cached(MOVE)?.execute(params![projection, signed(to.get())])?;
    Ok(())
}

/// Runs steps in a transaction of their own and commits it if they succeed. An error or a panic undoes all of it.
fn in_transaction<T>(
    connection: &Connection,
    steps: impl FnOnce(&SqliteTransaction<'_>) -> Result<T, ProjectionError>,
) -> Result<T, ProjectionError> {
    begin(connection)?;
    let result = catch_unwind(AssertUnwindSafe(|| steps(&SqliteTransaction::new(connection))));
    match result.unwrap_or_else(|panic| Err(ProjectionError::panicked(&*panic))) {
        Ok(_) if connection.is_autocommit() => Err(ProjectionError::new(
            "a step ended the batch's transaction; leave `COMMIT` and `ROLLBACK` to the store",
        )),
        Ok(value) => {
            commit(connection)?;
            Ok(value)
        }
        Err(error) => {
            rollback(connection);
            Err(error)
        }
    }
}
