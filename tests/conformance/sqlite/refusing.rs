//! What the database refuses, and when.

use std::sync::Arc;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionStore;
use eventsource_runtime::store::{SqliteStore, SqliteTransaction};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{a_file, events, open};

/// `SQLite` leaves such a transaction open: no other could begin.
#[tokio::test]
async fn an_append_whose_commit_is_refused_hinders_none_after_it() {
    let file = a_file();
    let store = open(&file).await;
    let owe = "CREATE TABLE paid (position INTEGER PRIMARY KEY);
        CREATE TABLE owed (position INTEGER REFERENCES paid DEFERRABLE INITIALLY DEFERRED);
        CREATE TRIGGER owe AFTER INSERT ON events WHEN NEW.stream_id = 'Order-owing'
            BEGIN INSERT INTO owed VALUES (NEW.position); END";
    Connection::open(&file).unwrap().execute_batch(owe).unwrap();
    let append = async |id| store.append(&StreamId::new("Order", id), ExpectedVersion::NoStream, events(2)).await;
    append("paid").await.unwrap();
    let refused = append("owing").await.unwrap_err();
    assert!(matches!(refused, AppendError::Store(StoreError::Backend { .. })), "{refused:?}");
    assert_eq!(append("next").await.unwrap().position, 4);
}

/// What `REPLACE` deletes fires no trigger unless the connection says so.
const OVERWRITE: &str = "INSERT OR REPLACE INTO events \
    (position, stream_id, version, event_id, event_type, schema_version, recorded_at, payload) \
    SELECT position, stream_id, version, event_id, event_type, schema_version, recorded_at, x'30' FROM events";

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

/// Overwrites every event before it looks at one.
struct Overwriting;

#[projection]
impl Overwriting {
    #[projection(setup)]
    fn overwrite(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(OVERWRITE)?)
    }

    fn placed(&self, _: &Recorded<Placed>) {}
}

#[tokio::test]
async fn no_connection_of_the_stores_overwrites_an_event() {
    for path in [a_file(), ":memory:".into()] {
        let store = SqliteStore::open(&path).await.unwrap();
        let stream = StreamId::new("Order", 1);
        store.append(&stream, ExpectedVersion::NoStream, events(2)).await.unwrap();
        let stored = store.read_stream(&stream, Version::START, 10).await.unwrap();
        let refused = store.open_projection(Arc::new(Overwriting), 1, Position::START).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
        let read = store.reader().read(|connection| connection.execute_batch(OVERWRITE)).await;
        assert!(read.is_err(), "it is one that only reads");
        assert_eq!(payloads(&store.read_stream(&stream, Version::START, 10).await.unwrap()), payloads(&stored));
    }
}

fn payloads(events: &[StoredEvent]) -> Vec<&[u8]> {
    events.iter().map(|event| &event.payload()[..]).collect()
}
