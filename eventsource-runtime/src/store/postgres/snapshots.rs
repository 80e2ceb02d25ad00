//! Snapshots in PostgreSQL.

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connections::{Fault, lend};
use super::read::{named, number, unreadable};
use super::{Postgres, PostgresError, schema};
use crate::snapshot::{LastEvent, Restore, Schema, SnapshotStore, StoredSnapshot};
use crate::store::columns::signed;
use crate::store::{Fold, Folded, Position, StoreError, StoreInfo, StreamId, Version};

/// The statements for snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    save: String,
    get: String,
    exists: String,
    delete: String,
    delete_all: String,
}

impl Snapshots {
    pub(super) fn new(schema: &schema::Schema) -> Self {
        Self {
            save: schema.sql(
                "INSERT INTO {schema}.snapshots \
                (stream_id, aggregate_type, version, position, event_id, schema_version, schema_hash, state) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (stream_id) DO UPDATE SET \
                version = excluded.version, position = excluded.position, \
                event_id = excluded.event_id, schema_version = excluded.schema_version, \
                schema_hash = excluded.schema_hash, state = excluded.state",
            ),
            get: schema.sql(
                "SELECT version, position, NULL, schema_version, state, schema_hash, event_id \
                FROM {schema}.snapshots WHERE stream_id = $1",
            ),
            exists: schema.sql("SELECT FROM {schema}.snapshots WHERE stream_id = $1"),
            delete: schema.sql("DELETE FROM {schema}.snapshots WHERE stream_id = $1"),
            delete_all: schema.sql("DELETE FROM {schema}.snapshots WHERE aggregate_type = $1"),
        }
    }
}

impl Postgres {
    async fn execute(
        &self,
        attempt: &'static str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let execute = async {
            let client = lend(&self.shared.pools.snapshots).await?;
            let statement = client.prepare_cached(statement).await?;
            Ok(client.execute(&statement, params).await?)
        };
        execute.await.map_err(|fault: Fault| fault.attempt(attempt))
    }
}

impl SnapshotStore for Postgres {
    fn snapshots(&self) -> Option<StoreInfo> {
        Some(StoreInfo { collection: "snapshots", ..self.shared.info.clone() })
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        let (stream, schema) = (&snapshot.stream, snapshot.schema);
        let params: [&(dyn ToSql + Sync); 8] = [
            &stream.as_str(),
            &stream.aggregate_type(),
            &signed(snapshot.last.version.get()),
            &signed(snapshot.last.position.get()),
            &snapshot.last.id,
            &i64::from(schema.version),
            &schema.hash.cast_signed(),
            &&*snapshot.state,
        ];
        self.execute("save a snapshot", &self.shared.snapshots.save, &params).await.map(drop)
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        let get = async {
            let client = lend(&self.shared.pools.snapshots).await?;
            let statement = client.prepare_cached(&self.shared.snapshots.get).await?;
            let row = client.query_opt(&statement, &[&named(stream)]).await?;
            Ok(row.map(|row| snapshot(&row, stream)).transpose()?)
        };
        get.await.map_err(|fault: Fault| fault.attempt("read a snapshot"))
    }

    async fn snapshot_exists(&self, stream: &StreamId) -> Result<bool, StoreError> {
        let found = self.execute("look for a snapshot", &self.shared.snapshots.exists, &[&named(stream)]).await?;
        Ok(found > 0)
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        let deleted = self.execute("delete snapshots", &self.shared.snapshots.delete, &[&named(stream)]).await?;
        Ok(deleted > 0)
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        if aggregate_type.contains('\0') {
            // The server does not accept it, and so has nothing of it.
            return Ok(0);
        }
        self.execute("delete snapshots", &self.shared.snapshots.delete_all, &[&aggregate_type]).await
    }

    async fn fold_from_snapshot<V: Restore>(&self, fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        self.shared.folds.fold_from_snapshot(&self.shared.pools.readers, fold, visitor).await
    }
}

/// Reads a row: version, position, nothing, the schema's version and hash around the state, and the event id.
pub(super) fn snapshot(row: &Row, stream: &StreamId) -> Result<StoredSnapshot, PostgresError> {
    let (version, position) = (Version::new(number(row, 0)?), Position::new(number(row, 1)?));
    let last = LastEvent { version, position, id: row.try_get(6)? };
    let schema_version = u32::try_from(number(row, 3)?).map_err(|_| unreadable(row, 3, "is too large"))?;
    let schema = Schema { version: schema_version, hash: row.try_get::<_, i64>(5)?.cast_unsigned() };
    Ok(StoredSnapshot::new(stream.clone(), last, schema, Bytes::copy_from_slice(row.try_get(4)?)))
}
