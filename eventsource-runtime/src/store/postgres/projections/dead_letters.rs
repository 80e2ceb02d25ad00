//! The table of dead letters.

use std::collections::HashSet;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::super::connections::Fault;
use super::super::read::{named, number, unreadable};
use super::super::schema::Schema;
use super::super::{PostgresError, PostgresTransaction};
use crate::clock::Timestamp;
use crate::projection::{DeadLetter, Letters};
use crate::store::columns::signed;
use crate::store::{Position, StreamId, Version};

/// The statements about dead letters.
#[derive(Debug)]
pub(super) struct Statements {
    insert: String,
    among: String,
    list: String,
    remove: String,
    remove_first: String,
    forget: String,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            // After a restore the checkpoint may lie before an event that is a dead letter already.
            insert: schema.sql(
                "INSERT INTO {schema}.projection_dead_letters \
                (projection, position, stream_id, version, event_type, error_type, reason, retries, at) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (projection, position) DO NOTHING",
            ),
            among: schema.sql(
                "SELECT DISTINCT stream_id FROM {schema}.projection_dead_letters \
                WHERE projection = $1 AND stream_id = ANY ($2)",
            ),
            list: schema.sql(
                "SELECT position, stream_id, version, event_type, error_type, reason, retries, at \
                FROM {schema}.projection_dead_letters WHERE projection = $1 AND position > $2 \
                AND ($4::text IS NULL OR stream_id = $4) ORDER BY position LIMIT $3",
            ),
            remove: schema.sql("DELETE FROM {schema}.projection_dead_letters WHERE projection = $1 AND position = $2"),
            remove_first: schema.sql(
                "DELETE FROM {schema}.projection_dead_letters AS letter WHERE projection = $1 AND position = $2 \
                AND NOT EXISTS (SELECT FROM {schema}.projection_dead_letters AS earlier WHERE earlier.projection = $1 \
                    AND earlier.stream_id = letter.stream_id AND earlier.position < $2)",
            ),
            forget: schema.sql("DELETE FROM {schema}.projection_dead_letters WHERE projection = $1"),
        }
    }

    pub(super) async fn insert(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &str,
        letter: &DeadLetter,
    ) -> Result<(), Error> {
        // PostgreSQL stores no NUL in text, and a reason may quote one.
        let (error_type, reason) =
            (letter.error_type.replace('\0', "\u{fffd}"), letter.reason.replace('\0', "\u{fffd}"));
        let params: [&(dyn ToSql + Sync); 9] = [
            &projection,
            &signed(letter.position.get()),
            &letter.stream.as_str(),
            &signed(letter.version.get()),
            &&*letter.event_type,
            &error_type,
            &reason,
            &i64::from(letter.retries),
            &letter.at.as_micros(),
        ];
        tx.execute(&self.insert, &params).await.map(drop)
    }

    /// Those of the given streams that have letters.
    pub(super) async fn among(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &str,
        streams: &[&str],
    ) -> Result<HashSet<String>, Error> {
        let statement = tx.prepare_cached(&self.among).await?;
        let rows = tx.query(&statement, &[&projection, &streams]).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    pub(super) async fn list(
        &self,
        client: &Object,
        projection: &str,
        letters: &Letters,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let statement = client.prepare_cached(&self.list).await?;
        let (after, limit) = (signed(letters.after.get()), signed(letters.limit as u64));
        let stream = letters.stream.as_ref().map(named);
        let rows = client.query(&statement, &[&projection, &after, &limit, &stream]).await?;
        Ok(rows.iter().map(letter).collect::<Result<_, _>>()?)
    }

    /// Removes it; if it is `to_apply`, only if it is the first of its stream.
    pub(super) async fn remove(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &str,
        position: Position,
        to_apply: bool,
    ) -> Result<bool, Error> {
        let remove = if to_apply { &self.remove_first } else { &self.remove };
        Ok(tx.execute(remove, &[&projection, &signed(position.get())]).await? > 0)
    }

    pub(super) async fn forget(&self, tx: &PostgresTransaction<'_>, projection: &str) -> Result<(), Error> {
        tx.execute(&self.forget, &[&projection]).await.map(drop)
    }
}

fn letter(row: &Row) -> Result<DeadLetter, PostgresError> {
    let stream: &str = row.try_get(1)?;
    let stream = StreamId::stored(stream).map_err(|_| unreadable(row, 1, "is not a stream id"))?;
    let place = (stream, Version::new(number(row, 2)?), Position::new(number(row, 0)?));
    let failure = (row.try_get(4)?, row.try_get(5)?);
    let retries = u32::try_from(number(row, 6)?).unwrap_or(u32::MAX);
    let at = Timestamp::from_micros(row.try_get(7)?);
    Ok(DeadLetter::new(place, row.try_get::<_, &str>(3)?, failure, retries, at))
}
