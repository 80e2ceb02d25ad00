//! Projections on PostgreSQL: steps and checkpoint in one transaction.
//!
//! A batch holds no lock of the store while its steps run, so that a runner that is held up for ever keeps nobody from
//! taking its lease. Whether the lease is still its own is asked again by the statement that moves the checkpoint, the
//! last one before the commit.

mod dead_letters;
mod leases;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use deadpool_postgres::{Object, Transaction as Inner};
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use super::connections::{Fault, lend};
use super::read::number;
use super::{Postgres, PostgresError, PostgresTransaction, schema::Schema};
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, AsyncBackend, Backend, Batch, Claim, DeadLetter, Lease, LeaseLost, Letters, Partition, PartitionsChanged,
    Projection, ProjectionError, ProjectionStore, StepResult, Transaction, caught,
};
use crate::store::columns::signed;
use crate::store::{Position, StoreError};
use crate::telemetry::Scope;

/// How often the term of its lease a transaction may stand still: then the server ends it, so that the rows that it has
/// changed are free for whoever has the lease then.
const STANDSTILLS: u32 = 3;

impl Transaction for PostgresTransaction<'static> {
    type Backend = Postgres;
}

impl Backend for Postgres {
    type Transaction<'t> = PostgresTransaction<'t>;
    type Step<'a> = Pin<Box<dyn Future<Output = StepResult> + Send + 'a>>;

    fn ready<'a>(result: StepResult) -> Self::Step<'a> {
        Box::pin(std::future::ready(result))
    }
}

impl AsyncBackend for Postgres {
    fn boxed<'a>(step: impl Future<Output = StepResult> + Send + 'a) -> Self::Step<'a> {
        Box::pin(step)
    }
}

/// The statements about projections.
#[derive(Debug)]
pub(super) struct Statements {
    parts: String,
    standing: String,
    lay_out: String,
    move_back: String,
    others: String,
    look: String,
    hold: String,
    give_up: String,
    letters: dead_letters::Statements,
    schema: Schema,
}

/// Held while a projection is set up or its dead letters are moved about, by the projection's name.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1702035460, hashtext($1))";

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            parts: schema.sql(
                // Locked, so that no batch moves a checkpoint between the look and the new lay-out.
                "SELECT count(*), coalesce(min(position), 0), coalesce(max(position), 0) FROM \
                (SELECT position FROM {schema}.projection_partitions WHERE projection = $1 FOR UPDATE) AS parts",
            ),
            standing: schema.sql(
                "SELECT position, token, EXISTS (SELECT FROM {schema}.projection_dead_letters WHERE projection = $1) \
                FROM {schema}.projection_partitions WHERE projection = $1 AND partition = $2 AND partitions = $3",
            ),
            lay_out: schema.sql(
                "INSERT INTO {schema}.projection_partitions \
                SELECT $1, part, $2, $3, NULL, '', 'epoch' FROM generate_series(0, $2::bigint - 1) AS part",
            ),
            move_back: schema.sql("UPDATE {schema}.projection_partitions SET position = 0 WHERE projection = $1"),
            others: schema.sql(
                // Locks every part: until the reset is committed nobody takes a lease over.
                "SELECT partition, partitions, token IS DISTINCT FROM $2 FROM {schema}.projection_partitions \
                WHERE projection = $1 ORDER BY partition FOR UPDATE",
            ),
            look: leases::look(schema),
            hold: leases::hold(schema),
            give_up: leases::give_up(schema),
            letters: dead_letters::Statements::new(schema),
            schema: schema.clone(),
        }
    }
}

impl ProjectionStore for Postgres {
    type Backend = Self;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        partitions: u32,
    ) -> Result<(), ProjectionError> {
        let (name, wanted) = (projection.name(), partitions.max(1));
        let open = async |tx: &PostgresTransaction<'_>| {
            tx.execute(LOCK, &[&name]).await.map_err(failed("set up a projection"))?;
            let (stored, first, last) = self.parts(tx, name).await.map_err(failed("look for a projection"))?;
            if stored == 0 {
                caught(projection.setup(tx)).await?;
            } else if stored == wanted {
                return Ok(());
            } else if first != last {
                return Err(PartitionsChanged::new(name, stored, wanted).into());
            }
            self.lay_out(tx, name, wanted, first).await.map_err(failed("set up a projection"))
        };
        let mut client = self.worker().await?;
        let tx = begin(&mut client, None).await?;
        let opened = open(&tx).await;
        end(tx, opened, None).await
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        let client = self.worker().await?;
        let lease = self.lease(&client, partition, &claim).await.map_err(failed("lease a projection"))?;
        lease.ok_or_else(|| ProjectionError::not_open(partition.projection))
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let mut client = self.worker().await?;
        let tx = begin(&mut client, Some(&batch)).await?;
        let applied = async {
            let any_letters = self.check(&tx, &batch).await?;
            let applied = scope.run(self.steps(&tx, &*projection, &batch, any_letters)).await?;
            if let Some(letter) = &batch.set_aside {
                let set_aside = self.letters().insert(&tx, projection.name(), letter).await;
                set_aside.map_err(failed("set an event aside"))?;
            }
            Ok(applied)
        };
        let applied = applied.await;
        let moves = self.move_checkpoint(&batch);
        end(tx, applied, Some((&moves, &batch))).await
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let name = projection.name();
        let mut client = self.worker().await?;
        let tx = begin(&mut client, None).await?;
        let reset = async {
            self.check_all(&tx, name, token).await?;
            caught(projection.reset(&tx)).await?;
            let forget = async {
                self.letters().forget(&tx, name).await?;
                tx.execute(&self.shared.projections.move_back, &[&name]).await.map(drop)
            };
            forget.await.map_err(failed("reset a projection"))
        };
        let reset = reset.await;
        end(tx, reset, None).await
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let list = async {
            let client = lend(&self.shared.pools.readers).await?;
            self.letters().list(&client, projection, &letters).await
        };
        list.await.map_err(|fault: Fault| ProjectionError::store(fault.attempt("list dead letters")))
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Self>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        let name = projection.name();
        let mut client = self.worker().await?;
        let tx = begin(&mut client, None).await?;
        let settle = async {
            tx.execute(LOCK, &[&name]).await.map_err(failed("remove a dead letter"))?;
            let removed = self.letters().remove(&tx, name, position).await.map_err(failed("remove a dead letter"))?;
            if let (true, Some(event)) = (removed, &event) {
                scope.run(step(&tx, &*projection, event)).await?;
            }
            Ok(removed)
        };
        let settled = settle.await;
        end(tx, settled, None).await
    }
}

/// An error of the store's own statements, which is not the projection's.
fn failed(attempt: &'static str) -> impl Fn(tokio_postgres::Error) -> ProjectionError {
    move |error| fault(attempt, PostgresError::from(error))
}

fn fault(attempt: &'static str, error: PostgresError) -> ProjectionError {
    ProjectionError::store(StoreError::backend(attempt, error))
}

impl Postgres {
    /// A connection for work of a projection, whose statements are planned as usual.
    async fn worker(&self) -> Result<Object, ProjectionError> {
        let lent = lend(&self.shared.pools.workers).await;
        lent.map_err(|fault| ProjectionError::store(fault.attempt("connect for a projection")))
    }

    fn letters(&self) -> &dead_letters::Statements {
        &self.shared.projections.letters
    }

    /// How many parts a projection has, and the first and the last of their positions.
    async fn parts(
        &self,
        tx: &PostgresTransaction<'_>,
        name: &str,
    ) -> Result<(u32, Position, Position), tokio_postgres::Error> {
        let statement = tx.prepare_cached(&self.shared.projections.parts).await?;
        let row = tx.query_one(&statement, &[&name]).await?;
        let column = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        let stored = u32::try_from(column(0)).unwrap_or(u32::MAX);
        Ok((stored, Position::new(column(1)), Position::new(column(2))))
    }

    async fn lay_out(
        &self,
        tx: &PostgresTransaction<'_>,
        name: &'static str,
        count: u32,
        at: Position,
    ) -> Result<(), tokio_postgres::Error> {
        let schema = &self.shared.projections.schema;
        tx.execute(&schema.sql("DELETE FROM {schema}.projection_partitions WHERE projection = $1"), &[&name]).await?;
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&name, &i64::from(count), &signed(at.get())];
        tx.execute(&self.shared.projections.lay_out, &params).await.map(drop)
    }

    /// Refuses a batch that cannot be committed before its steps run; whether the projection has dead letters.
    async fn check(&self, tx: &PostgresTransaction<'_>, batch: &Batch) -> Result<bool, ProjectionError> {
        let Partition { projection, index, count, .. } = batch.partition;
        let standing = async {
            let statement = tx.prepare_cached(&self.shared.projections.standing).await?;
            tx.query_opt(&statement, &[&projection, &i64::from(index), &i64::from(count)]).await
        };
        let row = standing.await.map_err(failed("read a checkpoint"))?;
        let row = row.ok_or_else(|| ProjectionError::not_open(projection))?;
        let checkpoint = number(&row, 0).map_err(|error| fault("read a checkpoint", error))?;
        batch.check(Position::new(checkpoint), row.get(1))?;
        let any_letters = row.get(2);
        if any_letters {
            // Whoever removes a letter and whoever parks an event behind it take turns; what is read next is current.
            tx.execute(LOCK, &[&projection]).await.map_err(failed("look for dead letters"))?;
        }
        Ok(any_letters)
    }

    async fn steps(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &dyn Projection<Self>,
        batch: &Batch,
        any_letters: bool,
    ) -> Result<Applied, ProjectionError> {
        let mut applied = Applied::default();
        let name = projection.name();
        for event in &*batch.events {
            let parks = any_letters
                && self.letters().has_of(tx, name, &event.stream).await.map_err(failed("look for dead letters"))?;
            if parks {
                let letter = DeadLetter::parked(event, batch.at);
                self.letters().insert(tx, name, &letter).await.map_err(failed("set an event aside"))?;
                applied.parked.push(event.position);
            } else {
                step(tx, projection, event).await?;
            }
        }
        Ok(applied)
    }

    /// Refuses where any part of a projection is leased with another token.
    async fn check_all(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &'static str,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let others = async {
            let statement = tx.prepare_cached(&self.shared.projections.others).await?;
            tx.query(&statement, &[&projection, &Some(token)]).await
        };
        let others = others.await.map_err(failed("check a projection's leases"))?;
        let other = others.iter().find(|row| row.get(2)).map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        let part = |(index, count): (i64, i64)| {
            Partition::all(projection, u32::try_from(count).ok()?).nth(usize::try_from(index).ok()?)
        };
        match other.and_then(part) {
            Some(partition) => Err(LeaseLost::new(partition).into()),
            None => Ok(()),
        }
    }

    /// What moves the checkpoint of a batch: after the savepoint, which is there if no step has ended the transaction, and
    /// only if lease and checkpoint are still what they were. One message, so that it stops at its first error.
    fn move_checkpoint(&self, batch: &Batch) -> String {
        let Partition { projection, index, .. } = batch.partition;
        self.shared.projections.schema.sql(&format!(
            "RELEASE SAVEPOINT eventsource; UPDATE {{schema}}.projection_partitions SET position = {}, \
            expires = clock_timestamp() + {} * interval '1 millisecond' \
            WHERE projection = '{}' AND partition = {index} AND token = '{}' AND position = {}",
            signed(batch.checkpoint.get()),
            leases::millis(batch.claim.term),
            projection.replace('\'', "''"),
            batch.claim.token,
            signed(batch.from.get()),
        ))
    }
}

async fn step(tx: &PostgresTransaction<'_>, projection: &dyn Projection<Postgres>, event: &StoredEvent) -> StepResult {
    let applied = caught(async { projection.apply(event, tx).await }).await;
    applied.map_err(|error| {
        if tx.client().is_closed() {
            // The projection is not to blame for a connection.
            return fault("apply a batch", PostgresError::new(error.to_string()));
        }
        error.at(event)
    })
}

/// Begins a transaction; dropped, it is rolled back.
async fn begin<'c>(client: &'c mut Object, batch: Option<&Batch>) -> Result<PostgresTransaction<'c>, ProjectionError> {
    let begun = async {
        let tx: Inner<'c> = client.transaction().await?;
        if let Some(batch) = batch {
            let standstill = leases::millis(batch.claim.term * STANDSTILLS).min(1 << 30);
            tx.batch_execute(&format!("SET LOCAL idle_in_transaction_session_timeout = {standstill}")).await?;
        }
        tx.batch_execute("SAVEPOINT eventsource").await?;
        Ok(PostgresTransaction::new(tx))
    };
    begun.await.map_err(failed("begin a projection's batch"))
}

/// Commits if what was done succeeded, and if the checkpoint can be moved; else undoes all of it.
async fn end<T>(
    tx: PostgresTransaction<'_>,
    result: Result<T, ProjectionError>,
    moves: Option<(&str, &Batch)>,
) -> Result<T, ProjectionError> {
    let value = match result {
        Ok(value) => value,
        Err(error) => {
            // The connection is not lent again before it has been rolled back; its error changes nothing.
            let _ = tx.into_inner().rollback().await;
            return Err(error);
        }
    };
    let statements = moves.map_or("RELEASE SAVEPOINT eventsource", |(moves, _)| moves);
    match (tx.simple_query(statements).await, moves) {
        (Ok(said), Some((_, batch))) if moved(&said) == 0 => {
            let _ = tx.into_inner().rollback().await;
            Err(LeaseLost::new(batch.partition).into())
        }
        (Ok(_), _) => {
            tx.into_inner().commit().await.map_err(failed("commit a projection's batch"))?;
            Ok(value)
        }
        (Err(error), _) if is_no_savepoint(&error) => {
            let _ = tx.into_inner().rollback().await;
            Err(ProjectionError::new(
                "a step ended the batch's transaction; leave `COMMIT` and `ROLLBACK` to the store",
            ))
        }
        (Err(error), _) => Err(failed("move a checkpoint")(error)),
    }
}

fn moved(said: &[SimpleQueryMessage]) -> u64 {
    let last = said.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    last.unwrap_or_default()
}

/// The savepoint is gone with its transaction.
fn is_no_savepoint(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    let code = error.code();
    code == Some(&SqlState::NO_ACTIVE_SQL_TRANSACTION) || code == Some(&SqlState::S_E_INVALID_SPECIFICATION)
}
