//! Leases, by `SQLite`'s clock, which is that of the one machine that has the file.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::super::connection::{Setting, begin, commit, rollback};
use super::failed;
use crate::projection::{Claim, Lease, LeaseLost, Partition, ProjectionError, Taken};
use crate::store::Position;
use crate::store::columns::millis;

const LOOK: &str = "SELECT position, token, owner, expires - CAST(unixepoch('subsec') * 1000 AS INTEGER) \
    FROM projection_partitions WHERE projection = ?1 AND partition = ?2 AND partitions = ?3";
const HOLD: &str = "UPDATE projection_partitions SET token = ?3, owner = ?4, \
    expires = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?5 WHERE projection = ?1 AND partition = ?2";
const GIVE_UP: &str = "UPDATE projection_partitions SET token = NULL, owner = '', expires = 0 \
    WHERE projection = ?1 AND partition = ?2 AND token = ?3";
const OTHERS: &str = "SELECT partition, partitions FROM projection_partitions \
    WHERE projection = ?1 AND token IS NOT ?2 ORDER BY partition LIMIT 1";

/// How long a lease is believed to last, unless twice the claim's own term is longer: if the clock was set back, the
/// lease of a dead process would otherwise last for as long.
const BELIEVED: Duration = Duration::from_mins(30);

struct Row {
    checkpoint: Position,
    token: Option<Uuid>,
    owner: String,
    left: i64,
}

impl Row {
    fn is_had(&self, claim: &Claim) -> bool {
        self.token == Some(claim.token)
    }

    /// What the claim changes, if anything.
    fn statement(&self, claim: &Claim) -> Option<&'static str> {
        let believed = millis(claim.term.saturating_mul(2).max(BELIEVED));
        let is_free = claim.by_force || self.token.is_none() || self.left <= 0 || self.left > believed;
        match claim.gives_up() {
            true if self.is_had(claim) => Some(GIVE_UP),
            false if self.is_had(claim) || is_free => Some(HOLD),
            _ => None,
        }
    }

    /// What a claim got that has changed it.
    fn granted(self, claim: &Claim) -> Lease {
        let is_expired = self.token.is_some() && !self.is_had(claim) && !claim.by_force;
        Lease::new(self.checkpoint, None).expired(is_expired.then_some(self.owner))
    }

    fn taken(self, claim: &Claim) -> Lease {
        let is_anothers = self.token.is_some() && !self.is_had(claim);
        let left = Duration::from_millis(u64::try_from(self.left).unwrap_or_default());
        Lease::new(self.checkpoint, is_anothers.then_some(Taken { owner: self.owner, left }))
    }
}

/// Asks for a lease; `None` if there is no such part. If it is taken, nothing was written or waited for.
pub(super) fn lease(connection: &Connection, partition: Partition, claim: &Claim) -> rusqlite::Result<Option<Lease>> {
    let Some(row) = look(connection, partition)? else { return Ok(None) };
    if row.statement(claim).is_none() {
        return Ok(Some(row.taken(claim)));
    }
    // A lease need not survive the loss of power, and is renewed every few seconds while the program runs.
    let _unsynced = Setting::unsynced(connection)?;
    begin(connection)?;
    let changed = change(connection, partition, claim);
    match changed {
        Ok(_) => commit(connection)?,
        Err(_) => rollback(connection),
    }
    changed
}

fn look(connection: &Connection, partition: Partition) -> rusqlite::Result<Option<Row>> {
    let Partition { projection, index, count, .. } = partition;
    let mut statement = connection.prepare_cached(LOOK)?;
    let row = statement.query_row(params![projection, index, count], |row| {
        Ok(Row {
            checkpoint: row.get(0)?,
            token: row.get::<_, Option<[u8; 16]>>(1)?.map(Uuid::from_bytes),
            owner: row.get(2)?,
            left: row.get(3)?,
        })
    });
    row.optional()
}

/// In a transaction: what was seen outside may have changed.
fn change(connection: &Connection, partition: Partition, claim: &Claim) -> rusqlite::Result<Option<Lease>> {
    let Some(row) = look(connection, partition)? else { return Ok(None) };
    let Partition { projection, index, .. } = partition;
    let token = claim.token.into_bytes();
    let statement = row.statement(claim);
    match statement {
        Some(HOLD) => {
            let parameters = params![projection, index, token, &*claim.owner, millis(claim.term)];
            connection.prepare_cached(HOLD)?.execute(parameters)?;
        }
        Some(give_up) => drop(connection.prepare_cached(give_up)?.execute(params![projection, index, token])?),
        None => return Ok(Some(row.taken(claim))),
    }
    Ok(Some(row.granted(claim)))
}

/// Refuses if any part of a projection is leased with another token.
pub(super) fn check_all(tx: &Connection, projection: &'static str, token: Uuid) -> Result<(), ProjectionError> {
    let other = || {
        let mut statement = tx.prepare_cached(OTHERS)?;
        let row = statement.query_row(params![projection, token.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
        row.optional()
    };
    let other: Option<(u32, u32)> = failed("check a projection's leases", other())?;
    match other.and_then(|(index, count)| Partition::all(projection, count).nth(index as usize)) {
        Some(partition) => Err(LeaseLost::new(partition).into()),
        None => Ok(()),
    }
}
