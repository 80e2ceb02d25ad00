//! Snapshots in `SQLite`.
//!
//! They are written on the writer thread, without waiting for the disk: an append that waits for the thread waits a few
//! microseconds longer. One that is lost with the power costs a replay.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::connection::Setting;
use super::read::signed;
use super::{Sqlite, fold};
use crate::snapshot::{LastEvent, Restore, Schema, SnapshotStore, StoredSnapshot};
use crate::store::{EventStore, Fold, Folded, StoreError, StoreInfo, StreamId};

const SAVE: &str = "INSERT OR REPLACE INTO snapshots \
    (stream_id, aggregate_type, version, position, event_id, schema_version, schema_hash, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// Of any history, or only if its last event is that of the stream.
const GET: &str = "SELECT version, position, event_id, schema_version, schema_hash, state FROM snapshots \
    WHERE stream_id = ?1 AND (?2 OR (position, event_id) = \
        (SELECT position, event_id FROM events WHERE stream_id = ?1 AND events.version = snapshots.version))";
const EXISTS: &str = "SELECT 1 FROM snapshots WHERE stream_id = ?1";
const DELETE: &str = "DELETE FROM snapshots WHERE stream_id = ?1";
const DELETE_ALL: &str = "DELETE FROM snapshots WHERE aggregate_type = ?1";

impl SnapshotStore for Sqlite {
    fn snapshots(&self) -> Option<StoreInfo> {
        Some(StoreInfo { collection: "snapshots", ..self.info() })
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        let save = move |connection: &Connection| {
            let _unsynced = Setting::unsynced(connection)?;
            save(connection, &snapshot)
        };
        self.threads.write(save).await?.map_err(|error| StoreError::backend("save a snapshot", error))
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        let stream = stream.clone();
        self.threads.read(move |connection, _| get(connection, &stream, true)).await?
    }

    async fn snapshot_exists(&self, stream: &StreamId) -> Result<bool, StoreError> {
        let stream = stream.clone();
        let exists = move |connection: &Connection| connection.prepare_cached(EXISTS)?.exists([stream.as_str()]);
        let exists = self.threads.read(move |connection, _| exists(connection)).await?;
        exists.map_err(|error| StoreError::backend("look for a snapshot", error))
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        Ok(delete(self, DELETE, stream.as_str().to_owned()).await? > 0)
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        Ok(delete(self, DELETE_ALL, aggregate_type.to_owned()).await? as u64)
    }

    async fn fold_from_snapshot<V: Restore>(&self, fold: Fold, mut visitor: V) -> Result<Folded<V>, StoreError> {
        let both = move |connection: &Connection, abandoned: &dyn Fn() -> bool| {
            let after = visitor.restore(get(connection, &fold.stream, false));
            fold::fold(connection, Fold { after, ..fold }, visitor, abandoned)
        };
        self.threads.read(both).await?
    }
}

fn save(connection: &Connection, snapshot: &StoredSnapshot) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(SAVE)?;
    let saved = statement.execute(params![
        snapshot.stream.as_str(),
        snapshot.stream.aggregate_type(),
        signed(snapshot.last.version.get()),
        signed(snapshot.last.position.get()),
        snapshot.last.id.as_bytes(),
        snapshot.schema.version,
        snapshot.schema.hash.cast_signed(),
        &snapshot.state[..],
    ]);
    saved.map(drop)
}

fn get(connection: &Connection, stream: &StreamId, of_any: bool) -> Result<Option<StoredSnapshot>, StoreError> {
    let read = || {
        let mut statement = connection.prepare_cached(GET)?;
        statement.query_row(params![stream.as_str(), of_any], |row| snapshot(row, stream)).optional()
    };
    read().map_err(|error| StoreError::backend("read a snapshot", error))
}

fn snapshot(row: &Row<'_>, stream: &StreamId) -> rusqlite::Result<StoredSnapshot> {
    let last = LastEvent { version: row.get(0)?, position: row.get(1)?, id: Uuid::from_bytes(row.get(2)?) };
    let schema = Schema { version: row.get(3)?, hash: row.get::<_, i64>(4)?.cast_unsigned() };
    Ok(StoredSnapshot::new(stream.clone(), last, schema, Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?)))
}

async fn delete(store: &Sqlite, sql: &'static str, which: String) -> Result<usize, StoreError> {
    let delete = move |connection: &Connection| connection.prepare_cached(sql)?.execute([which]);
    store.threads.write(delete).await?.map_err(|error| StoreError::backend("delete snapshots", error))
}
