//! Leases that run out while a read model is emptied or replaced, which nobody can renew until that is committed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore, Taken};
use eventsource_runtime::store::{SqliteStore, SqliteTransaction};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{a_file, open};

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

/// Its leases run out while it is emptied.
struct Lengthy;

#[projection]
impl Lengthy {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE lengthy (id INTEGER PRIMARY KEY)")?)
    }

    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(RUN_OUT)?)
    }

    fn placed(&self, _: &Recorded<Placed>, _: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

const RUN_OUT: &str = "UPDATE projection_partitions SET expires = 1";

/// Two stores on one file, as two processes have them, of which the first has the leases of all parts.
async fn leased(file: &Path, parts: u32) -> (SqliteStore, SqliteStore, Uuid) {
    let (store, other, token) = (open(file).await, open(file).await, Uuid::now_v7());
    store.open_projection(Arc::new(Lengthy), parts, Position::START).await.unwrap();
    for part in Partition::all("Lengthy", parts) {
        assert_eq!(asks(&store, part, token).await, None);
    }
    (store, other, token)
}

async fn asks(store: &SqliteStore, part: Partition, token: Uuid) -> Option<Taken> {
    let claim = Claim::new(token, "a test", Duration::from_mins(1));
    store.lease_projection(part, claim).await.unwrap().taken
}

/// Whoever asked right behind the commit had them: the read model was emptied in vain.
#[tokio::test]
async fn leases_that_have_run_out_in_a_reset_are_not_free_behind_it() {
    let (store, other, token) = leased(&a_file(), 2).await;
    store.reset_projection(Arc::new(Lengthy), token).await.unwrap();
    for part in Partition::all("Lengthy", 2) {
        assert!(asks(&other, part, Uuid::now_v7()).await.is_some(), "{part} is free");
    }
}

/// As in a reset.
#[tokio::test]
async fn a_lease_that_has_run_out_in_a_swap_is_not_free_behind_it() {
    let file = a_file();
    let (store, other, token) = leased(&file, 1).await;
    let aside = store.open_aside("Lengthy").await.unwrap();
    aside.open_projection(Arc::new(Lengthy), 1, Position::START).await.unwrap();
    Connection::open(&file).unwrap().execute_batch(RUN_OUT).unwrap();
    store.swap_aside("Lengthy", aside, token).await.unwrap();
    assert!(asks(&other, Partition::whole("Lengthy"), Uuid::now_v7()).await.is_some(), "it is free");
}
