//! What a projection that is built aside must leave alone: everything outside its own schema.

use tokio_postgres::types::Oid;

use super::super::PostgresTransaction;
use super::super::schema::Schema;
use super::aside::Aside;
use super::transaction::failed;
use crate::projection::{ProjectionError, StepResult};

/// The tables that this transaction writes or has dropped: those of another schema by name, and by number those that it
/// no longer sees.
const WRITTEN: &str = "SELECT relation, nspname || '.' || relname FROM pg_locks \
    LEFT JOIN pg_class ON pg_class.oid = relation LEFT JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE locktype = 'relation' AND pid = pg_backend_pid() AND mode IN ('RowExclusiveLock', 'AccessExclusiveLock') \
        AND (relname IS NULL OR relkind IN ('r', 'p', 'S', 'm', 'v', 'f') AND relpersistence <> 't' \
            AND nspname NOT IN ($1, 'pg_catalog', 'pg_toast', 'information_schema') \
            AND (nspname <> $2 OR relname NOT IN ('projection_partitions', 'projection_dead_letters')))";

/// Those of these numbers that others see, in another schema.
const DROPPED: &str = "SELECT nspname || '.' || relname FROM pg_class \
    JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE pg_class.oid = ANY($2) AND nspname <> $1 AND relpersistence <> 't' ORDER BY relkind DESC LIMIT 1";

/// What would be lost if the objects of a schema replaced those of the same name: the store's own, and what people have
/// set for a table and the new one lacks.
const LOST: &str = "WITH live AS (SELECT oid, nspname FROM pg_namespace \
        WHERE nspname = (array_remove(current_schemas(false), $1::name))[1]), \
    new AS (SELECT pg_class.* FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1), \
    pairs AS (SELECT old.oid AS old, new.oid AS new, new.relname, old.relrowsecurity > new.relrowsecurity AS is_laxer \
        FROM new JOIN pg_class AS old ON old.relname = new.relname JOIN live ON live.oid = old.relnamespace) \
    SELECT relname::text, 'the store itself' FROM new, live WHERE nspname = $2 AND relname = ANY($3) \
    UNION ALL SELECT relname, 'row level security' FROM pairs WHERE is_laxer \
    UNION ALL SELECT relname, 'the policy ' || polname FROM pairs JOIN pg_policy AS theirs ON polrelid = old \
        WHERE NOT EXISTS (SELECT FROM pg_policy AS own WHERE own.polrelid = new AND own.polname = theirs.polname) \
    UNION ALL SELECT relname, 'the trigger ' || tgname FROM pairs JOIN pg_trigger AS theirs ON tgrelid = old \
        WHERE NOT tgisinternal \
            AND NOT EXISTS (SELECT FROM pg_trigger AS own WHERE own.tgrelid = new AND own.tgname = theirs.tgname) \
    UNION ALL SELECT relname, 'its place in the publication ' || pubname FROM pairs \
        JOIN pg_publication_rel AS theirs ON prrelid = old JOIN pg_publication ON pg_publication.oid = prpubid \
        WHERE NOT EXISTS (SELECT FROM pg_publication_rel AS own WHERE own.prrelid = new AND own.prpubid = theirs.prpubid) \
    LIMIT 1";

/// What depends on those that would be replaced, and would keep the server from dropping them: views, foreign keys and
/// functions of others. What is dropped together with them, as their own constraints are, depends on one more closely.
const DEPENDENT: &str = "WITH live AS (SELECT oid FROM pg_namespace \
        WHERE nspname = (array_remove(current_schemas(false), $1::name))[1]), \
    new AS (SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1), \
    old AS (SELECT pg_class.oid, reltype, pg_class.relname FROM pg_class JOIN live ON live.oid = relnamespace \
        JOIN new ON new.relname = pg_class.relname WHERE relkind IN ('r', 'p', 'v', 'm', 'S')) \
    SELECT string_agg(DISTINCT relname, '`, `'), \
        string_agg(DISTINCT regexp_replace(pg_describe_object(classid, objid, 0), '^rule \"?_RETURN\"? on ', ''), ', ') \
    FROM old JOIN pg_depend AS bound ON deptype = 'n' AND (refclassid = 'pg_class'::regclass AND refobjid = old.oid \
        OR refclassid = 'pg_type'::regclass AND refobjid = reltype) \
    WHERE NOT (classid = 'pg_class'::regclass AND objid IN (SELECT oid FROM old)) \
        AND NOT EXISTS (SELECT FROM pg_depend AS own WHERE own.classid = bound.classid AND own.objid = bound.objid \
            AND own.deptype IN ('a', 'i') AND own.refclassid = 'pg_class'::regclass \
            AND own.refobjid IN (SELECT oid FROM old)) \
    HAVING count(*) > 0";

/// Refuses a transaction that writes to tables elsewhere, because it names their schema or does not create them in its
/// set-up; or that drops some, because there is none of that name aside yet: those would be the ones that readers see.
pub(super) async fn refuse_writes(tx: &PostgresTransaction<'_>, aside: &Aside, schema: &Schema) -> StepResult {
    let look = async {
        let statement = tx.prepare_cached(WRITTEN).await?;
        let rows = tx.query(&statement, &[&aside.schema(), &schema.name()]).await?;
        let written = rows.iter().find_map(|row| row.get::<_, Option<String>>(1));
        let gone: Vec<Oid> = rows.iter().map(|row| row.get(0)).collect();
        if written.is_some() || gone.is_empty() {
            return Ok(written);
        }
        // Others see nothing of what it has created and dropped itself.
        let seen = aside.lock().query_opt(DROPPED, &[&aside.schema(), &gone]).await?;
        Ok(seen.map(|row| row.get(0)))
    };
    match look.await.map_err(failed("look at what is written aside"))? {
        None => Ok(()),
        Some(table) => Err(ProjectionError::new(format!(
            "the projection writes to `{table}`, or drops it, while it is built aside; make its tables in its set-up, \
             without `DROP … IF EXISTS` and without their schema, or rebuild it in place"
        ))),
    }
}

/// Refuses names of the store's own tables, and the loss of what was set for the old ones or depends on them. It is
/// asked before the first event is applied: in the end, the server would refuse to drop what others depend on.
pub(super) async fn refuse_losses(tx: &PostgresTransaction<'_>, aside: &Aside, schema: &Schema) -> StepResult {
    let own: Vec<&str> = Schema::tables().collect();
    let lost = tx.query_opt(LOST, &[&aside.schema(), &schema.name(), &own]).await;
    let dependent = tx.query_opt(DEPENDENT, &[&aside.schema()]).await;
    let looked = failed("look at what would be replaced");
    if let Some(row) = dependent.map_err(&looked)? {
        return Err(ProjectionError::new(format!(
            "`{}` cannot be replaced while this depends on it: {}; drop that and make it again once the projection is \
             built, make it in the set-up, or rebuild in place",
            row.get::<_, &str>(0),
            row.get::<_, &str>(1)
        )));
    }
    match lost.map_err(looked)? {
        None => Ok(()),
        Some(row) => Err(ProjectionError::new(format!(
            "`{}` cannot be put in the place of the one of that name, which would lose {}; give it another name, have the \
             set-up make it so, or rebuild it in place",
            row.get::<_, &str>(0),
            row.get::<_, &str>(1)
        ))),
    }
}
