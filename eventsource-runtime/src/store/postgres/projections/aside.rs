//! A read model that is built in a schema of its own, and then moved into the place of the old one.
//!
//! The connections that work aside have that schema first in their search path, so that the names of tables mean those
//! built there. Checkpoint and dead letters are rows beside the old ones, under a name of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use deadpool_postgres::{ClientWrapper, Object, Pool};
use uuid::Uuid;

use super::super::connections::{MAY_IDLE, YOURS};
use super::super::{Postgres, PostgresError, PostgresTransaction};
use super::begun;
use super::elsewhere::refuse_losses;
use super::transaction::{end, failed, fault, refused};
use crate::projection::{BuiltElsewhere, LeaseLost, Partition, ProjectionError, StepResult};
use crate::store::StoreError;

/// Held, by a connection of its own, while somebody builds a projection aside.
const LOCK: &str = "SELECT pg_try_advisory_lock(1702035461, hashtext($1))";
/// Whether nobody holds it. A connection that holds one leaves the pool, so each look would cost one.
const FREE: &str = "SELECT pg_try_advisory_xact_lock(1702035461, hashtext($1))";
/// How long to wait for the old tables, which somebody may be reading. New readers wait meanwhile, too.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1s'";
/// The prefix of the schemas' names, for those who find one.
const PREFIX: &str = "eventsource_aside_";
/// How many connections, besides the one that has the lock: one works, one renews the lease.
const WORKERS: usize = 2;

/// What there is besides tables, views and sequences, and cannot be moved into the place of another.
const OTHERS: &str = "SELECT 'function', proname FROM pg_proc WHERE pronamespace = $1::text::regnamespace \
    UNION ALL SELECT 'type', typname FROM pg_type \
    WHERE typnamespace = $1::text::regnamespace AND typrelid = 0 AND typelem = 0";

/// The statements that replace objects by those of the same name in a schema: the old ones are dropped, views before
/// what they show; the new ones are moved; and grants are renewed, also on the columns that still exist.
const SWAP: &str = "WITH kinds (kind, word, step) AS (VALUES \
        ('v'::\"char\", 'VIEW', 1), ('m', 'MATERIALIZED VIEW', 2), ('r', 'TABLE', 3), ('p', 'TABLE', 3), ('S', 'SEQUENCE', 4)), \
    relations AS (SELECT pg_class.oid, relname, relkind, relacl, word, step, nspname, \
            EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid \
                AND relkind = 'S' AND deptype IN ('a', 'i') AND refobjsubid > 0) AS is_owned \
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN kinds ON kind = relkind), \
    new AS (SELECT * FROM relations WHERE nspname = $1), \
    old AS (SELECT * FROM relations WHERE nspname = current_schema() AND relname IN (SELECT relname FROM new)), \
    grants AS (SELECT privilege_type AS what, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, \
            nspname, relname, grantee, is_grantable FROM old, aclexplode(relacl) \
        UNION ALL SELECT format('%s (%I)', privilege_type, old_columns.attname), 'TABLE', \
            old.nspname, relname, grantee, is_grantable \
        FROM old JOIN pg_attribute AS old_columns ON attrelid = old.oid, aclexplode(attacl) \
        WHERE EXISTS (SELECT FROM new JOIN pg_attribute AS new_columns ON new_columns.attrelid = new.oid \
            WHERE new.relname = old.relname AND new_columns.attname = old_columns.attname)) \
    SELECT format('DROP %s %s', word, string_agg(format('%I.%I', nspname, relname), ', ')), step FROM old \
        WHERE NOT is_owned GROUP BY word, step \
    UNION ALL SELECT format('ALTER %s %I.%I SET SCHEMA %I', word, nspname, relname, current_schema()), 5 FROM new \
        WHERE NOT is_owned \
    UNION ALL SELECT format('GRANT %s ON %s %I.%I TO %s%s', what, kind, nspname, relname, \
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), 6 FROM grants \
    ORDER BY step";

/// Whether a transaction was committed: NULL if it is too long ago to be known.
const FATE: &str = "SELECT txid_status($1)";

/// A schema in which a projection is built, for as long as somebody does.
pub(in super::super) struct Aside {
    schema: String,
    /// The key of the checkpoint and the dead letters.
    key: String,
    workers: Pool,
    /// Others that want to build there wait until this connection is gone, as when its process dies.
    lock: ClientWrapper,
    /// The transaction number of the last swap tried; 0 before the first.
    swapping: AtomicI64,
}

impl Aside {
    pub(super) fn workers(&self) -> &Pool {
        &self.workers
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Makes the schema, in the transaction that sets the projection up.
    pub(super) async fn create(&self, tx: &PostgresTransaction<'_>) -> StepResult {
        let create = format!("CREATE SCHEMA \"{}\"", self.schema);
        tx.batch_execute(&create).await.map_err(|error| refused("make a schema aside", error.into()))
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// A connection that sees what the transactions aside have not committed as it was before them.
    pub(super) fn lock(&self) -> &ClientWrapper {
        &self.lock
    }

    /// Refuses if the right to the place is lost: another may have discarded what was built there.
    pub(super) fn check_held(&self, partition: Partition) -> StepResult {
        if self.lock.is_closed() { Err(LeaseLost::new(partition).into()) } else { Ok(()) }
    }

    /// Whether the last swap was committed, though its answer was lost.
    async fn is_swapped(&self, tx: &PostgresTransaction<'_>) -> Result<bool, ProjectionError> {
        let swapping = self.swapping.load(Ordering::SeqCst);
        if swapping == 0 {
            return Ok(false);
        }
        let row = tx.query_one(FATE, &[&swapping]).await.map_err(failed("look for a swap"))?;
        match row.get::<_, Option<&str>>(0) {
            Some("committed") => Ok(true),
            Some("in progress") => Err(fault("look for a swap", PostgresError::unavailable("it is under way"))),
            _ => Ok(false),
        }
    }

    /// Notes which transaction swaps.
    async fn note(&self, tx: &PostgresTransaction<'_>) -> StepResult {
        let row = tx.query_one("SELECT txid_current()", &[]).await.map_err(failed("put a read model in its place"))?;
        self.swapping.store(row.get(0), Ordering::SeqCst);
        Ok(())
    }
}

/// Opens a place for a projection. An earlier attempt is discarded: it may have been another program's.
pub(super) async fn open(store: &Postgres, projection: &'static str) -> Result<Postgres, ProjectionError> {
    if store.aside.is_some() {
        return Err(ProjectionError::new(format!("projection `{projection}` is being built aside already")));
    }
    let (client, place) = (store.worker().await?, store.place(projection));
    let is_free = client.query_one(FREE, &[&place]).await.map_err(failed("build aside"))?;
    if !is_free.get::<_, bool>(0) {
        // It waits for nothing, and a caller that looks repeatedly gets it again.
        drop(client.free());
        return Err(BuiltElsewhere::new(projection).into());
    }
    // Taken from the pool for good, since the lock ends with it.
    let lock = Object::take(client.free());
    // It does nothing else.
    lock.batch_execute(MAY_IDLE).await.map_err(failed("build aside"))?;
    let locked = lock.query_one(LOCK, &[&place]).await.map_err(failed("build aside"))?;
    if !locked.get::<_, bool>(0) {
        return Err(BuiltElsewhere::new(projection).into());
    }
    let schema = format!("{PREFIX}{}", Uuid::now_v7().simple());
    let path = format!(
        "set_config('search_path', concat_ws(', ', '{schema}', nullif(current_setting('search_path'), '')), false)"
    );
    let workers = store.shared.connecting.pool(WORKERS, &format!("{YOURS}; SELECT {path}"));
    let workers = workers.map_err(|error| fault("build aside", error))?;
    let key = format!("{projection} {schema}");
    let aside = Aside { key, schema, workers, lock, swapping: AtomicI64::new(0) };
    Box::pin(clean(store, projection)).await?;
    Ok(Postgres { shared: Arc::clone(&store.shared), aside: Some(Arc::new(aside)) })
}

/// Removes what earlier attempts, which are no longer alive, left behind.
async fn clean(store: &Postgres, projection: &str) -> StepResult {
    let mut client = store.worker().await?;
    let left = store
        .shared
        .schema
        .sql("SELECT projection FROM {schema}.projection_partitions WHERE starts_with(projection, $1)");
    let left = client.query(&left, &[&format!("{projection} {PREFIX}")]).await.map_err(failed("build aside"))?;
    for row in left {
        let key: &str = row.get(0);
        let schema = key.rsplit(' ').next().unwrap_or_default().replace('"', "");
        let tx = begun(&mut client).await?;
        let cleaned = async {
            tx.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE")).await?;
            store.letters().forget(&tx, key).await?;
            tx.execute(&store.shared.projections.forget_parts, &[&key]).await.map(drop)
        };
        let cleaned = cleaned.await.map_err(failed("remove what was built aside"));
        end(tx, cleaned, None, &[]).await?;
    }
    drop(client.free());
    Ok(())
}

/// Moves what was built aside into the place of the old one.
pub(super) async fn swap(
    store: &Postgres,
    projection: &'static str,
    built: &Postgres,
    token: Uuid,
) -> Result<(), ProjectionError> {
    let Some(aside) = &built.aside else { return Err(ProjectionError::new("the store is not one aside")) };
    let swap = async |tx: &PostgresTransaction<'_>| {
        if aside.is_swapped(tx).await? {
            return store.check_all(tx, projection, token).await.map(drop);
        }
        aside.check_held(Partition::whole(projection))?;
        refuse_losses(tx, aside, &store.shared.schema).await?;
        aside.note(tx).await?;
        move_tables(tx, projection, aside).await?;
        // Locked after the tables, as in the commit of a batch.
        store.check_all(tx, projection, token).await?;
        move_rows(store, tx, projection, aside).await
    };
    store.in_transaction(&[], swap).await?;
    aside.workers.close();
    Ok(())
}

async fn move_tables(tx: &PostgresTransaction<'_>, projection: &str, aside: &Aside) -> StepResult {
    let taken = |error: tokio_postgres::Error| refused("put a read model in its place", error.into());
    tx.batch_execute(PATIENCE).await.map_err(taken)?;
    let quoted = format!("\"{}\"", aside.schema);
    if let Some(row) = tx.query(OTHERS, &[&quoted]).await.map_err(taken)?.first() {
        let (kind, name): (&str, &str) = (row.get(0), row.get(1));
        return Err(ProjectionError::new(format!(
            "projection `{projection}` makes the {kind} `{name}` and cannot be built aside; rebuild it in place"
        )));
    }
    for row in tx.query(SWAP, &[&aside.schema]).await.map_err(taken)? {
        let statement: Option<&str> = row.get(0);
        let statement = statement.ok_or_else(|| {
            ProjectionError::new("the connection's search path names no schema to put a read model in; set one")
        })?;
        tx.batch_execute(statement).await.map_err(taken)?;
    }
    tx.batch_execute(&format!("DROP SCHEMA {quoted}")).await.map_err(taken)
}

async fn move_rows(store: &Postgres, tx: &PostgresTransaction<'_>, projection: &str, aside: &Aside) -> StepResult {
    let sql = |statement: &str| store.shared.schema.sql(statement);
    let statements = [
        // As when a read model is emptied.
        "UPDATE {schema}.projection_partitions AS old SET position = built.position, \
            expires = greatest(old.expires, clock_timestamp() + interval '5 seconds') \
            FROM {schema}.projection_partitions AS built WHERE old.projection = $1 AND built.projection = $2",
        "DELETE FROM {schema}.projection_partitions WHERE projection = $2 AND projection <> $1",
        "DELETE FROM {schema}.projection_dead_letters WHERE projection = $1 AND projection <> $2",
        "UPDATE {schema}.projection_dead_letters SET projection = $1 WHERE projection = $2",
    ];
    for (number, statement) in statements.iter().enumerate() {
        let moved = tx.execute(&sql(statement), &[&projection, &aside.key]).await;
        let moved = moved.map_err(failed("put a read model in its place"))?;
        if number == 0 && moved != 1 {
            let gone = StoreError::backend("put a read model in its place", "what was built is not there any more");
            return Err(ProjectionError::store(gone));
        }
    }
    Ok(())
}
