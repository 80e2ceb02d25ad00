//! The parts of a projection: how many there are, whose they are, and where they stand.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, GenericClient};
use uuid::Uuid;

use super::super::{Postgres, PostgresTransaction};
use super::transaction::{RELEASE, failed};
use crate::projection::{Batch, LeaseLost, Partition, ProjectionError, StepResult};
use crate::store::Position;
use crate::store::columns::{millis, signed};

impl Postgres {
    /// How many parts a projection has, without waiting for whoever has locked them.
    pub(super) async fn count(&self, client: &impl GenericClient, name: &str) -> Result<u32, Error> {
        let sql = self.shared.schema.sql("SELECT count(*) FROM {schema}.projection_partitions WHERE projection = $1");
        let row = client.query_one(&sql, &[&self.key(name)]).await?;
        Ok(u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX))
    }

    /// How many parts a projection has, and the first and the last of their positions; locks them.
    pub(super) async fn parts(
        &self,
        tx: &PostgresTransaction<'_>,
        name: &str,
    ) -> Result<(u32, Position, Position), Error> {
        let statement = tx.prepare_cached(&self.shared.projections.parts).await?;
        let row = tx.query_one(&statement, &[&self.key(name)]).await?;
        let column = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        let stored = u32::try_from(column(0)).unwrap_or(u32::MAX);
        Ok((stored, Position::new(column(1)), Position::new(column(2))))
    }

    /// Refuses if this is a place aside that is lost.
    pub(super) fn check_held(&self, partition: Partition) -> StepResult {
        self.aside.as_ref().map_or(Ok(()), |aside| aside.check_held(partition))
    }

    /// Why there is no such part.
    pub(super) async fn no_part(&self, client: &impl GenericClient, partition: Partition) -> ProjectionError {
        match self.count(client, partition.projection).await {
            Ok(stored) => ProjectionError::no_part(partition, stored),
            Err(error) => failed("look for a projection")(error),
        }
    }

    pub(super) async fn lay_out(
        &self,
        tx: &PostgresTransaction<'_>,
        name: &'static str,
        count: u32,
        at: Position,
    ) -> Result<(), Error> {
        let (key, statements) = (self.key(name), &self.shared.projections);
        tx.execute(&statements.forget_parts, &[&key]).await?;
        let params: [&(dyn ToSql + Sync); 3] = [&key, &i64::from(count), &signed(at.get())];
        tx.execute(&statements.lay_out, &params).await.map(drop)
    }

    /// Refuses if any part of a projection is leased with another token. Returns how long the leases still last.
    pub(super) async fn check_all(
        &self,
        tx: &PostgresTransaction<'_>,
        projection: &'static str,
        token: Uuid,
    ) -> Result<Duration, ProjectionError> {
        let others = async {
            let statement = tx.prepare_cached(&self.shared.projections.others).await?;
            tx.query(&statement, &[&self.key(projection), &Some(token)]).await
        };
        let others = others.await.map_err(failed("check a projection's leases"))?;
        let other = others.iter().find(|row| row.get(2)).map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        let part = |(index, count): (i64, i64)| {
            Partition::all(projection, u32::try_from(count).ok()?).nth(usize::try_from(index).ok()?)
        };
        if let Some(partition) = other.and_then(part) {
            return Err(LeaseLost::new(partition).into());
        }
        let left = others.iter().filter_map(|row| u64::try_from(row.get::<_, i64>(3)).ok()).max();
        Ok(Duration::from_millis(left.unwrap_or_default()))
    }

    /// The statements that move a batch's checkpoint: after the savepoint, which exists if no step has ended the
    /// transaction, and only if lease and checkpoint are still what they were. One message, so that it stops at its
    /// first error.
    pub(super) fn move_checkpoint(&self, batch: &Batch) -> String {
        let Partition { projection, index, .. } = batch.partition;
        // A name may look like the place of the schema's.
        let parts = self.shared.schema.sql("{schema}.projection_partitions");
        format!(
            "{RELEASE}; UPDATE {parts} SET position = {}, \
            expires = clock_timestamp() + {} * interval '1 millisecond' \
            WHERE projection = '{}' AND partition = {index} AND token = '{}' AND position = {}",
            signed(batch.checkpoint.get()),
            millis(batch.claim.term),
            self.key(projection).replace('\'', "''"),
            batch.claim.token,
            signed(batch.from.get()),
        )
    }
}
