//! The schema and its versions.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use super::PostgresError;
use crate::store::StoreError;

/// The steps from one version of the schema to the next. A released migration is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/postgres/0001_events.sql"),
    include_str!("../../../migrations/postgres/0002_snapshots.sql"),
    include_str!("../../../migrations/postgres/0003_projections.sql"),
    include_str!("../../../migrations/postgres/0004_append_one.sql"),
];

/// The newest version known to this program.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Held while a schema is migrated, by the schema's name: the second number is its hash.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1702035459, hashtext($1))";

/// How long a migration waits for a table in use, and others wait behind it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";
/// How long it is retried if that was too short, and how long others are let through each time.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(500);

/// The store's schema, as written in SQL.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    name: String,
}

impl Schema {
    /// Refuses names that PostgreSQL would truncate or change.
    pub(super) fn new(name: &str) -> Result<Self, PostgresError> {
        let fits = !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if fits {
            Ok(Self { name: name.to_owned() })
        } else {
            Err(PostgresError::new("a schema's name is 1 to 63 letters, digits and underscores of ASCII"))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The names of the store's own tables.
    pub(super) fn tables() -> impl Iterator<Item = &'static str> {
        let made = |migration: &'static str| migration.split("CREATE TABLE {schema}.").skip(1);
        let named =
            |rest: &'static str| rest.split(|character: char| !character.is_alphanumeric() && character != '_').next();
        MIGRATIONS.iter().copied().flat_map(made).filter_map(named).chain(["eventsource_schema"])
    }

    /// The statement with the schema's name in place.
    pub(super) fn sql(&self, statement: &str) -> String {
        statement.replace("{schema}", &format!("\"{}\"", self.name))
    }

    /// Brings the schema to the newest version, in one transaction. Safe while other processes do the same, and while
    /// older programs use it: a statement that waits for a table makes all others wait behind it, so this waits
    /// briefly, but again and again.
    pub(super) async fn migrate(&self, client: &mut Client) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            match self.attempt(client).await {
                Err(error) if is_locked(&error) && begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                migrated => return migrated,
            }
        }
    }

    async fn attempt(&self, client: &mut Client) -> Result<(), StoreError> {
        // The schema is usually there, and looking takes no lock.
        if checked(self.version(client).await.map_err(failed)?)? == KNOWN {
            return Ok(());
        }
        // Dropped in the middle, it is rolled back.
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.query(LOCK, &[&self.name]).await.map_err(failed)?;
        // Not before: waiting for another's migration may take as long as that does.
        transaction.batch_execute(LOCK_TIMEOUT).await.map_err(failed)?;
        let found = checked(self.version(&transaction).await.map_err(failed)?)?;
        if found == 0 {
            self.prepare(&transaction).await.map_err(failed)?;
        }
        for migration in MIGRATIONS.iter().skip(found as usize) {
            transaction.batch_execute(&self.sql(migration)).await.map_err(failed)?;
        }
        let note = self.sql("INSERT INTO {schema}.eventsource_schema VALUES ($1) ON CONFLICT DO NOTHING");
        transaction.execute(&note, &[&i64::from(KNOWN)]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// The schema may have been created by a user with more rights than this one.
    async fn prepare(&self, client: &impl GenericClient) -> Result<(), tokio_postgres::Error> {
        let there =
            client.query_one("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", &[&self.name]).await?;
        if !there.get::<_, bool>(0) {
            client.batch_execute(&self.sql("CREATE SCHEMA {schema}")).await?;
        }
        client.batch_execute(&self.sql("CREATE TABLE {schema}.eventsource_schema (version bigint PRIMARY KEY)")).await
    }

    /// The version in the database; 0 if there is none.
    async fn version(&self, client: &impl GenericClient) -> Result<i64, tokio_postgres::Error> {
        let table = self.sql("{schema}.eventsource_schema");
        // Not `to_regclass`, which may have cached that there was none before the lock was acquired.
        let there = "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
            WHERE nspname = $1 AND relname = 'eventsource_schema')";
        let there = client.query_one(there, &[&self.name]).await?;
        if !there.get::<_, bool>(0) {
            return Ok(0);
        }
        Ok(client.query_one(&format!("SELECT coalesce(max(version), 0) FROM {table}"), &[]).await?.get(0))
    }
}

fn failed(error: tokio_postgres::Error) -> StoreError {
    StoreError::backend("read or migrate the schema", PostgresError::from(error))
}

/// Whether a table was not free in time.
fn is_locked(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    source.downcast_ref::<PostgresError>().and_then(PostgresError::code) == Some(SqlState::LOCK_NOT_AVAILABLE.code())
}

fn checked(found: i64) -> Result<u32, StoreError> {
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > KNOWN { Err(StoreError::schema(found, KNOWN)) } else { Ok(found) }
}
