//! Projections on PostgreSQL: steps and checkpoint in one transaction.
//!
//! A batch holds no lock of the store while its steps run, so that a process that is stopped, or whose runtime is
//! blocked, does not keep others from taking its lease once that has expired. Its other locks, or those of a reset on
//! the leases themselves, are released when the server has heard nothing of it for a few times as long. That does not
//! apply to an async step that never ends: its lease is renewed, and its transaction kept, for as long as the process
//! lives.
//!
//! The statement that moves the checkpoint, the last one before the commit, checks again that the lease is still its
//! own. Just before it, the dead letters behind which events were parked are checked again, under a lock that the
//! settling of a letter takes just before its commit.

mod aside;
mod dead_letters;
mod elsewhere;
mod leases;
mod parts;
mod pipeline;
mod transaction;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::future::join;
use uuid::Uuid;

use super::connections::{Busy, Fault, lend};
use super::read::number;
use super::{Postgres, PostgresError, PostgresTransaction, schema::Schema};
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, AsyncBackend, Backend, Batch, Claim, DeadLetter, Lease, Letters, Partition, PartitionsChanged, Projection,
    ProjectionError, ProjectionStore, StepResult, Took, Transaction,
};
use crate::store::Position;
use crate::telemetry::Scope;
pub(super) use aside::Aside;
use elsewhere::{refuse_losses, refuse_writes};
use transaction::{SAVEPOINT, STANDSTILL, apply, begin, end, ends_after, failed, fault, prepare, standstill};

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

/// The statements for projections.
#[derive(Debug)]
pub(super) struct Statements {
    parts: String,
    standing: String,
    forget_parts: String,
    lay_out: String,
    move_back: String,
    others: String,
    look: String,
    hold: String,
    seize: String,
    give_up: String,
    letters: dead_letters::Statements,
}

/// Held while a projection is set up or its dead letters are moved. Its key is the store and that of the projection's
/// rows.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1702035460, hashtext($1))";

/// Shared by retries of dead letters, and held by a reset alone: the effect of a retried letter is there when the read
/// model is emptied, or the letter is gone when it is looked for. It is taken before all others. Its key is the store
/// and the projection, since a step may take its time.
const RETRY: &str = "SELECT pg_advisory_xact_lock_shared(1702035462, hashtext($1))";
const RESET: &str = "SELECT pg_advisory_xact_lock(1702035462, hashtext($1))";

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            parts: schema.sql(
                // Locked, so that no batch moves a checkpoint between the look and the new layout.
                "SELECT count(*), coalesce(min(position), 0), coalesce(max(position), 0) FROM \
                (SELECT position FROM {schema}.projection_partitions WHERE projection = $1 FOR UPDATE) AS parts",
            ),
            standing: schema.sql(
                "SELECT position, token, EXISTS (SELECT FROM {schema}.projection_dead_letters WHERE projection = $1), \
                    pg_backend_pid() \
                FROM {schema}.projection_partitions WHERE projection = $1 AND partition = $2 AND partitions = $3",
            ),
            forget_parts: schema.sql("DELETE FROM {schema}.projection_partitions WHERE projection = $1"),
            lay_out: schema.sql(
                "INSERT INTO {schema}.projection_partitions \
                SELECT $1, part, $2, $3, NULL, '', 'epoch' FROM generate_series(0, $2::bigint - 1) AS part",
            ),
            // Those that waited for the rows see them as committed, with leases that still hold.
            move_back: schema.sql(
                "UPDATE {schema}.projection_partitions SET position = 0, \
                    expires = greatest(expires, clock_timestamp() + interval '5 seconds') WHERE projection = $1",
            ),
            others: schema.sql(
                // Locks every part: until the reset is committed nobody takes over a lease.
                "SELECT partition, partitions, token IS DISTINCT FROM $2, \
                (extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint FROM {schema}.projection_partitions \
                WHERE projection = $1 ORDER BY partition FOR UPDATE",
            ),
            look: leases::look(schema),
            hold: leases::hold(schema),
            seize: leases::seize(schema),
            give_up: leases::give_up(schema),
            letters: dead_letters::Statements::new(schema),
        }
    }
}

impl ProjectionStore for Postgres {
    type Backend = Self;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        let (name, wanted) = (projection.name(), partitions.max(1));
        let open = async |tx: &PostgresTransaction<'_>| {
            tx.execute(LOCK, &[&self.place(self.key(name))]).await.map_err(failed("set up a projection"))?;
            // A reset locks them for as long as it takes, and only another number of them is worth the wait.
            if self.count(&**tx, name).await.map_err(failed("look for a projection"))? == wanted {
                return Ok(());
            }
            let (stored, first, last) = self.parts(tx, name).await.map_err(failed("look for a projection"))?;
            if stored == 0 {
                self.set_up(tx, &*projection).await?;
            } else if first != last {
                return Err(PartitionsChanged::new(name, stored, wanted).into());
            }
            self.lay_out(tx, name, wanted, if stored == 0 { after } else { first })
                .await
                .map_err(failed("set up a projection"))
        };
        self.noted(self.in_transaction(&[], open).await)
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        let client = self.keeper().await?;
        self.check_held(partition)?;
        let lease = self.lease(&client, partition, &claim).await.map_err(failed("lease a projection"));
        let lease = self.noted(lease)?;
        if let Some(lease) = lease { Ok(lease) } else { Err(Box::pin(self.no_part(&**client, partition)).await) }
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let mut client = self.worker().await?;
        let (begun, mut took) = (Instant::now(), Duration::ZERO);
        let tx = begin(&mut client).await?;
        let mut tried: Vec<&StoredEvent> = Vec::new();
        let applied = async {
            self.check_held(batch.partition)?;
            let parked = self.check(&tx, &batch).await?;
            let is_parked = |event: &&StoredEvent| parked.contains(event.stream.as_str());
            let (aside, steps): (Vec<_>, Vec<_>) = batch.events.iter().partition(is_parked);
            tried = steps;
            let steps = Instant::now();
            scope.run(apply(&tx, &*projection, &tried, standstill(batch.claim.term))).await?;
            took = steps.elapsed();
            self.set_aside(&tx, &batch, &aside, &parked).await
        };
        let applied = applied.await;
        let applied = end(tx, applied, Some((&self.move_checkpoint(&batch), &batch)), &tried).await;
        drop(client.free());
        Ok(Applied { took: Some(Took::since(begun, took)), ..applied? })
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let name = projection.name();
        let reset = async |tx: &PostgresTransaction<'_>| {
            tx.execute(RESET, &[&self.place(name)]).await.map_err(failed("reset a projection"))?;
            // From here on others wait for its leases.
            let standstill = standstill(self.check_all(tx, name, token).await?);
            tx.batch_execute(&ends_after(standstill)).await.map_err(failed("reset a projection"))?;
            prepare(tx, async { projection.reset(tx).await }, standstill).await?;
            let forget = async {
                self.letters().forget(tx, self.key(name)).await?;
                tx.execute(&self.shared.projections.move_back, &[&self.key(name)]).await.map(drop)
            };
            forget.await.map_err(failed("reset a projection"))
        };
        self.in_transaction(&[], reset).await
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let list = async {
            let client = self.shared.pools.readers.lend().await?;
            let listed = self.letters().list(&client, self.key(projection), &letters).await?;
            drop(client.free());
            Ok(listed)
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
        let key = self.key(projection.name());
        let tried: Vec<&StoredEvent> = event.iter().collect();
        let settle = async |tx: &PostgresTransaction<'_>| {
            tx.execute(RETRY, &[&self.place(projection.name())]).await.map_err(failed("remove a dead letter"))?;
            let removed = self.letters().remove(tx, key, position, !tried.is_empty()).await;
            let removed = removed.map_err(failed("remove a dead letter"))?;
            if removed {
                scope.run(apply(tx, &*projection, &tried, STANDSTILL)).await?;
            }
            // A batch that parks an event behind this letter is committed before the letter is gone, or finds that it
            // is.
            tx.execute(LOCK, &[&self.place(key)]).await.map_err(failed("remove a dead letter"))?;
            Ok(removed)
        };
        self.in_transaction(&tried, settle).await
    }

    async fn open_aside(&self, projection: &'static str) -> Result<Self, ProjectionError> {
        // Rare, and large.
        Box::pin(aside::open(self, projection)).await
    }

    async fn swap_aside(&self, projection: &'static str, aside: Self, token: Uuid) -> Result<(), ProjectionError> {
        Box::pin(aside::swap(self, projection, &aside, token)).await
    }
}

/// A transaction with its savepoint.
async fn begun(client: &mut Object) -> Result<PostgresTransaction<'_>, ProjectionError> {
    let tx = begin(client).await?;
    let settings = format!("{}; {SAVEPOINT}", ends_after(STANDSTILL));
    tx.batch_execute(&settings).await.map_err(failed("begin a projection's batch"))?;
    Ok(tx)
}

fn away(fault: Fault) -> ProjectionError {
    ProjectionError::store(fault.attempt("connect for a projection"))
}

impl Postgres {
    /// Commits some work if it succeeds; otherwise undoes all of it. `tried` are the events whose steps it runs.
    async fn in_transaction<T>(
        &self,
        tried: &[&StoredEvent],
        work: impl AsyncFnOnce(&PostgresTransaction<'_>) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let mut client = self.worker().await?;
        let tx = begun(&mut client).await?;
        let worked = work(&tx).await;
        let ended = end(tx, worked, None, tried).await;
        drop(client.free());
        ended
    }

    /// A connection for a projection's work, whose statements are planned as usual.
    async fn worker(&self) -> Result<Busy, ProjectionError> {
        let workers = self.aside.as_ref().map_or(&self.shared.pools.workers, |aside| aside.workers());
        let worker = lend(workers).await.map_err(|fault| match fault {
            // Other projections may use them all for long, as to empty read models.
            Fault::Said(ref error) if error.is_none_free() => away(fault).waiting(),
            fault => away(fault),
        })?;
        Ok(Busy::new(worker, &self.shared.connecting.link, Duration::ZERO))
    }

    /// A connection for a lease, which must outlive the batch that it is for.
    async fn keeper(&self) -> Result<Object, ProjectionError> {
        let leases = self.aside.as_ref().map_or(&self.shared.pools.leases, |aside| aside.workers());
        lend(leases).await.map_err(away)
    }

    /// The key of a projection's rows: in a place aside it has another name.
    fn key<'a>(&'a self, projection: &'a str) -> &'a str {
        self.aside.as_ref().map_or(projection, |aside| aside.key())
    }

    /// A projection's name, or the key of its rows, with the name of its store, since a database may have several.
    fn place(&self, projection: &str) -> String {
        format!("{}.{projection}", self.shared.schema.sql("{schema}"))
    }

    fn letters(&self) -> &dead_letters::Statements {
        &self.shared.projections.letters
    }

    async fn set_up(&self, tx: &PostgresTransaction<'_>, projection: &dyn Projection<Self>) -> StepResult {
        let setup = prepare(tx, async { projection.setup(tx).await }, STANDSTILL);
        match &self.aside {
            None => setup.await,
            Some(aside) => {
                aside.create(tx).await?;
                setup.await?;
                Box::pin(refuse_writes(tx, aside, &self.shared.schema)).await?;
                Box::pin(refuse_losses(tx, aside, &self.shared.schema)).await
            }
        }
    }

    /// Sets a transaction up for a batch, and refuses what cannot be committed before its steps run. Returns the
    /// streams of the batch that have dead letters.
    async fn check(&self, tx: &PostgresTransaction<'_>, batch: &Batch) -> Result<HashSet<String>, ProjectionError> {
        let Partition { projection, index, count, .. } = batch.partition;
        let (key, index, count) = (self.key(projection), i64::from(index), i64::from(count));
        let settings = format!("{}; {SAVEPOINT}", ends_after(standstill(batch.claim.term)));
        let standing = async {
            let statement = tx.prepare_cached(&self.shared.projections.standing).await?;
            // Pipelined, with one wait for both.
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&key, &index, &count];
            let (set, row) = join(tx.batch_execute(&settings), tx.query_opt(&statement, &params)).await;
            set.and(row)
        };
        let row = standing.await.map_err(failed("read a checkpoint"))?;
        let Some(row) = row else { return Err(Box::pin(self.no_part(&**tx, batch.partition)).await) };
        let (shared, pid) = (Arc::clone(&self.shared), row.get(3));
        batch.blocking.is_told_by(move || {
            let shared = Arc::clone(&shared);
            async move { shared.writer.blocking(pid).await.map(i64::from) }
        });
        let checkpoint = number(&row, 0).map_err(|error| fault("read a checkpoint", error))?;
        batch.check(Position::new(checkpoint), row.get(1))?;
        if !row.get::<_, bool>(2) {
            return Ok(HashSet::new());
        }
        let streams: HashSet<&str> = batch.events.iter().map(|event| event.stream.as_str()).collect();
        let streams: Vec<&str> = streams.into_iter().collect();
        self.letters().among(tx, key, &streams).await.map_err(failed("look for dead letters"))
    }

    /// Sets events aside: those whose streams are parked, and the one that failed. If the letters that they are parked
    /// behind were settled meanwhile, the caller was told that the stream continues, and so it must.
    async fn set_aside(
        &self,
        tx: &PostgresTransaction<'_>,
        batch: &Batch,
        events: &[&StoredEvent],
        parked: &HashSet<String>,
    ) -> Result<Applied, ProjectionError> {
        let (key, mut applied) = (self.key(batch.partition.projection), Applied::default());
        if let Some(aside) = &self.aside {
            Box::pin(refuse_writes(tx, aside, &self.shared.schema)).await?;
        }
        if !events.is_empty() {
            tx.execute(LOCK, &[&self.place(key)]).await.map_err(failed("look for dead letters"))?;
            let streams: Vec<&str> = parked.iter().map(String::as_str).collect();
            let left = self.letters().among(tx, key, &streams).await.map_err(failed("look for dead letters"))?;
            if left != *parked {
                let settled = PostgresError::unavailable("a dead letter was settled meanwhile");
                return Err(fault("set an event aside", settled));
            }
        }
        for event in events {
            let letter = DeadLetter::parked(event, batch.at);
            self.letters().insert(tx, key, &letter).await.map_err(failed("set an event aside"))?;
            applied.parked.push(letter.position);
        }
        if let Some(letter) = &batch.set_aside {
            self.letters().insert(tx, key, letter).await.map_err(failed("set an event aside"))?;
        }
        Ok(applied)
    }
}
