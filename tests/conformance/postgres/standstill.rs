//! Transactions of projections that stand still: those of a process that lives go on, all others end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::store::{PostgresStore, PostgresTransaction};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, PostgresServer};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{a_stream, events, open, open_in, options};
use crate::messages::until;

/// So short that a transaction may stand still for the least time that there is, which is a second.
const TERM: Duration = Duration::from_millis(300);

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Placed")]
struct Placed(u32);

/// Waits for something that is not the server.
#[derive(Clone, Default)]
struct Distant {
    seen: Arc<Mutex<Vec<u64>>>,
}

#[projection]
impl Distant {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Ok(tx.execute_batch("SELECT 1").await?)
    }

    async fn placed(&self, event: &Recorded<Placed>) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.seen.lock().unwrap().push(event.position().get());
    }
}

/// The server ended the transaction, and the runner tried the same batch over and over.
#[test]
fn steps_that_wait_for_long_without_the_server_are_made_once() {
    run(async {
        for attempt in 1.. {
            let (store, distant) = (open().await, Distant::default());
            // Applied at once, in more time than a transaction may stand still.
            let last = store.append(&a_stream(), ExpectedVersion::NoStream, events(64)).await.unwrap().position;
            let runner = ProjectionRunner::new(store).projection(distant.clone()).lease(TERM).rebuild();
            let projections = runner.spawn();
            projections.wait_for_within(last, Duration::from_mins(1)).await.unwrap();
            projections.shutdown().await.unwrap();
            let (seen, all) = (distant.seen.lock().unwrap().clone(), (1..=last.get()).collect::<Vec<_>>());
            assert!(seen.ends_with(&all), "{seen:?}");
            if seen.len() == all.len() {
                break;
            }
            // Where a machine has let this process stand still for as long, the server was right.
            assert!(attempt < 5, "{seen:?}");
        }
    });
}

/// Its first reset blocks its thread in the middle of its transaction.
#[derive(Clone)]
struct Blocked {
    resets: Arc<AtomicUsize>,
    begun: Arc<Notify>,
    goes_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

#[projection]
impl Blocked {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("SELECT 1").await?;
        if self.resets.fetch_add(1, Ordering::SeqCst) == 0 {
            self.begun.notify_one();
            // Without an error too, where the test has failed.
            let _ = self.goes_on.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        Ok(tx.execute_batch("SELECT 2").await?)
    }

    async fn placed(&self, _: &Recorded<Placed>) {}
}

/// It kept the leases for as long as the server thought that it was there.
#[test]
fn a_process_that_is_stopped_in_the_middle_of_a_reset_keeps_no_lease() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let last = store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap().position;
        let (go_on, goes_on) = mpsc::channel();
        let goes_on = Arc::new(Mutex::new(goes_on));
        let blocked = Blocked { resets: Arc::default(), begun: Arc::default(), goes_on };
        let stopped = tokio::task::spawn_blocking({
            let blocked = blocked.clone();
            move || {
                // Nothing goes on in it while its only thread is blocked.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let runner = ProjectionRunner::new(open_in(&schema).await).projection(blocked).lease(TERM);
                    let projections = runner.rebuild().spawn();
                    projections.wait_for(last).await.unwrap();
                    projections.shutdown().await.unwrap();
                });
            }
        });
        blocked.begun.notified().await;
        let part = Partition::whole("Blocked");
        let own = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
        let is_had = until(async || store.lease_projection(part, own.clone()).await.unwrap().taken.is_none());
        tokio::time::timeout(Duration::from_secs(20), is_had).await.expect("the lease is free in time");
        store.lease_projection(part, own.given_up()).await.unwrap();
        go_on.send(()).unwrap();
        stopped.await.unwrap();
        assert_eq!(blocked.resets.load(Ordering::SeqCst), 2, "it begins again");
    });
}

/// Asks the server after how much silence it looks whether the other end is there, after how much more again, and how
/// often.
#[derive(Clone, Default)]
struct Silence(Arc<Mutex<String>>);

#[projection]
impl Silence {
    #[projection(setup)]
    async fn ask(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let settings = ["idle", "interval", "count"].map(|name| format!("current_setting('tcp_keepalives_{name}')"));
        let row = tx.query_one(&format!("SELECT concat_ws(' ', {})", settings.join(", ")), &[]).await?;
        *self.0.lock().unwrap() = row.get(0);
        Ok(())
    }

    async fn placed(&self, _: &Recorded<Placed>) {}
}

/// What a machine that had gone without a word had locked stayed so for hours.
#[test]
fn the_server_looks_whether_a_silent_machine_is_there() {
    run(async {
        let server = PostgresServer::start();
        // At a socket in a file there is nothing to be looked for, and nothing wrong.
        for (address, settings) in [(server.address(), "30 10 3"), (server.socket(), "0 0 0")] {
            let options = options(&services::a_schema());
            let store = PostgresStore::connect_with(&address, options).await.unwrap();
            let silence = Silence::default();
            store.open_projection(Arc::new(silence.clone()), 1, Position::START).await.unwrap();
            assert_eq!(*silence.0.lock().unwrap(), settings);
        }
    });
}
