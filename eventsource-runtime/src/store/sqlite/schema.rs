//! The schema and its versions.

use rusqlite::{Connection, OptionalExtension};

use super::connection::{begin, commit, located, rollback};
use crate::store::StoreError;

/// The steps from one version of the schema to the next. A released migration is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_events.sql"),
    include_str!("../../../migrations/sqlite/0002_projections.sql"),
    include_str!("../../../migrations/sqlite/0003_snapshots.sql"),
    include_str!("../../../migrations/sqlite/0004_leases_and_dead_letters.sql"),
];

/// The newest version known to this program.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Brings the schema to the newest version, in one transaction. Safe if other processes do the same.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::backend("read or migrate the schema", located(connection, error));
    // The schema is usually there, and looking takes no lock.
    if checked(version(connection).map_err(failed)?)? == KNOWN {
        return Ok(());
    }
    begin(connection).map_err(failed)?;
    let migrated = version(connection).map_err(failed).and_then(checked).and_then(|found| {
        for migration in MIGRATIONS.iter().skip(found as usize) {
            connection.execute_batch(migration).map_err(failed)?;
        }
        note_version(connection).map_err(failed)
    });
    match migrated {
        Ok(()) => commit(connection).map_err(failed),
        Err(error) => {
            rollback(connection);
            Err(error)
        }
    }
}

fn checked(found: u32) -> Result<u32, StoreError> {
    if found > KNOWN { Err(StoreError::schema(found, KNOWN)) } else { Ok(found) }
}

/// Not `user_version`, which belongs to the application whose read models share the file.
fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'eventsource_schema'";
    if connection.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    connection.query_row("SELECT max(version) FROM eventsource_schema", [], |row| row.get(0))
}

fn note_version(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("CREATE TABLE IF NOT EXISTS eventsource_schema (version INTEGER PRIMARY KEY) STRICT")?;
    connection.execute("INSERT OR IGNORE INTO eventsource_schema (version) VALUES (?1)", [KNOWN]).map(drop)
}
