//! Leases, by the server's clock.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::super::Postgres;
use super::super::schema::Schema;
use crate::projection::{Claim, Lease, Partition, ProjectionError, Taken};
use crate::store::Position;
use crate::store::columns::millis;
use crate::store::status::causes;

/// How many times to ask again for a lease that is given up while it is asked for.
const ATTEMPTS: u32 = 5;
/// How long an expired lease is reported as held at least, if it cannot be had because its row is locked: its holder
/// may be emptying the read model, which takes as long as it takes.
const LOCKED: Duration = Duration::from_secs(1);

pub(super) fn look(schema: &Schema) -> String {
    schema.sql(
        "SELECT position, token, owner, (extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint \
        FROM {schema}.projection_partitions WHERE projection = $1 AND partition = $2 AND partitions = $3",
    )
}

/// Takes a lease, whatever was seen before, if the asker holds it already, nobody does, or it has expired. So has one
/// that lasts longer than is believed, half an hour or twice the asker's own term: after the server's clock was set
/// back, that of a dead process would otherwise last for as long. It does not wait for a locked row: while somebody
/// empties the read model, all callers would, on the few connections for leases.
pub(super) fn hold(schema: &Schema) -> String {
    let free = "AND (token IS NULL OR token = $4 OR expires <= clock_timestamp() \
        OR expires > clock_timestamp() + greatest(interval '30 minutes', $6::bigint * interval '2 milliseconds')) \
        FOR UPDATE SKIP LOCKED";
    schema.sql(&taking(free))
}

/// Takes a lease, whoever has it.
pub(super) fn seize(schema: &Schema) -> String {
    schema.sql(&taking("FOR UPDATE"))
}

fn taking(which: &str) -> String {
    format!(
        "UPDATE {{schema}}.projection_partitions AS part SET token = $4, owner = $5, \
            expires = clock_timestamp() + $6::bigint * interval '1 millisecond' \
        FROM (SELECT projection, partition, token, owner FROM {{schema}}.projection_partitions \
            WHERE projection = $1 AND partition = $2 AND partitions = $3 {which}) AS had \
        WHERE part.projection = had.projection AND part.partition = had.partition \
        RETURNING part.position, had.token, had.owner"
    )
}

pub(super) fn give_up(schema: &Schema) -> String {
    schema.sql(
        "UPDATE {schema}.projection_partitions SET token = NULL, owner = '', expires = 'epoch' \
        WHERE projection = $1 AND partition = $2 AND partitions = $3 AND token = $4 RETURNING position, token, owner",
    )
}

impl Postgres {
    /// Looks whether the server takes no writes. Whoever runs a projection opens it and then asks for its lease again and
    /// again, and so learns of it soon.
    pub(super) fn noted<T>(&self, done: Result<T, ProjectionError>) -> Result<T, ProjectionError> {
        let refusal =
            done.as_ref().err().and_then(|error| causes(error.cause()).find_map(<dyn std::error::Error>::downcast_ref));
        if let Some(error) = refusal {
            self.shared.connecting.link.note(error);
        }
        done
    }

    /// Asks for a lease; `None` if there is no such part. Only the statement that takes it grants it.
    pub(super) async fn lease(
        &self,
        client: &Object,
        partition: Partition,
        claim: &Claim,
    ) -> Result<Option<Lease>, Error> {
        let Partition { projection, index, count, .. } = partition;
        let projection = self.key(projection);
        let (index, count) = (i64::from(index), i64::from(count));
        let statements = &self.shared.projections;
        // PostgreSQL stores no NUL in text.
        let (owner, term) = (claim.owner.replace('\0', "\u{fffd}"), millis(claim.term));
        let all: [&(dyn ToSql + Sync); 6] = [&projection, &index, &count, &claim.token, &owner, &term];
        let (change, params) = match claim {
            claim if claim.gives_up() => (&statements.give_up, &all[..4]),
            Claim { by_force: true, .. } => (&statements.seize, &all[..]),
            _ => (&statements.hold, &all[..]),
        };
        let change = client.prepare_cached(change).await?;
        let mut attempt = 1;
        loop {
            if let Some(row) = client.query_opt(&change, params).await? {
                return Ok(Some(granted(&row, claim)));
            }
            let look = client.prepare_cached(&statements.look).await?;
            let Some(row) = client.query_opt(&look, &all[..3]).await? else { return Ok(None) };
            // It may have been given up in between: then nobody has it, and so neither has the asker.
            let is_free = row.get::<_, Option<Uuid>>(1).is_none();
            if !is_free || claim.gives_up() || attempt == ATTEMPTS {
                return Ok(Some(seen(&row, claim)));
            }
            attempt += 1;
        }
    }
}

fn checkpoint(row: &Row) -> Position {
    Position::new(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// The result of a change of a lease, with whose it was before.
fn granted(row: &Row, claim: &Claim) -> Lease {
    let token: Option<Uuid> = row.get(1);
    let is_expired = token.is_some_and(|token| token != claim.token) && !claim.by_force;
    Lease::new(checkpoint(row), None).expired(is_expired.then(|| row.get(2)))
}

/// The result of a look at a lease: if it is nobody's, the caller is to ask again at once.
fn seen(row: &Row, claim: &Claim) -> Lease {
    let token: Option<Uuid> = row.get(1);
    let left = match u64::try_from(row.get::<_, i64>(3)) {
        Ok(millis) if millis > 0 => Duration::from_millis(millis),
        _ if claim.gives_up() => Duration::ZERO,
        _ => LOCKED,
    };
    let is_granted = token == Some(claim.token) || token.is_none() && claim.gives_up();
    Lease::new(checkpoint(row), (!is_granted).then(|| Taken { owner: row.get(2), left }))
}
