//! What the database refuses, and when.

use eventsource_runtime::store::{AppendError, EventStore, ExpectedVersion, StoreError, StreamId};
use rusqlite::Connection;

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
