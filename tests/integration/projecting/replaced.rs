//! A read model that is replaced by one that was built beside it.

use std::sync::{Mutex, mpsc as blocking};

use eventsource_tests::scratch::Scratch;
use tokio::sync::mpsc;

use super::anew::open;
use super::*;

/// Waits at the first event, if it is told to.
struct Waiting(Option<(mpsc::UnboundedSender<()>, Mutex<blocking::Receiver<()>>)>);

#[projection]
impl Waiting {
    fn cancelled(&self, event: &Recorded<OrderCancelled>, _: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        if let Some((reached, goes_on)) = &self.0
            && event.position() == 1
        {
            reached.send(())?;
            goes_on.lock().unwrap().recv()?;
        }
        Ok(())
    }
}

/// Less than a batch is applied while nobody goes on with the old one: readers have seen that there.
#[tokio::test]
async fn a_read_model_that_is_replaced_lacks_nothing_that_readers_have_seen() {
    let scratch = Scratch::new();
    let (store, stream) = (open(&scratch.file()).await, a_stream());
    cancel(&store, &stream, REASON, 1).await;
    let runner = || ProjectionRunner::new(store.clone()).lease(Duration::from_secs(5));
    let old = runner().projection(Waiting(None)).spawn();
    let ((reached, mut is_reached), (go_on, goes_on)) = (mpsc::unbounded_channel(), blocking::channel());
    let waiting = Waiting(Some((reached, Mutex::new(goes_on))));
    let new = runner().projection(waiting).rebuild_aside().spawn();
    is_reached.recv().await.unwrap();
    let events = (0..1000).map(|_| cancellation(REASON, 1)).collect();
    let last = store.append(&stream, ExpectedVersion::Any, events).await.unwrap().position;
    old.wait_for(last).await.unwrap();
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.busy_timeout(Duration::from_secs(5)).unwrap();
    raw.execute_batch(
        "CREATE TABLE went_back (position INTEGER NOT NULL);
         CREATE TRIGGER goes_back AFTER UPDATE OF position ON projection_partitions
         WHEN new.position < old.position BEGIN INSERT INTO went_back VALUES (new.position); END",
    )
    .unwrap();
    go_on.send(()).unwrap();
    new.wait_for(last).await.unwrap();
    let went_back: i64 = raw.query_row("SELECT count(*) FROM went_back", [], |row| row.get(0)).unwrap();
    assert_eq!(went_back, 0, "it stood further than the one that replaced it");
    new.shutdown().await.unwrap();
    old.shutdown().await.unwrap();
}

/// Makes a table.
struct Made(&'static str);

#[projection]
impl Made {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(self.0)?)
    }

    fn cancelled(&self, _: &Recorded<OrderCancelled>) {}
}

/// Nobody goes on with the old one until the lease is free.
#[tokio::test]
async fn a_runner_that_cannot_replace_a_read_model_gives_its_lease_up() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    let runner = |setup| ProjectionRunner::new(store.clone()).lease(Duration::from_mins(10)).projection(Made(setup));
    let old = runner("CREATE TABLE made (id INTEGER PRIMARY KEY)").spawn();
    old.wait_for(last).await.unwrap();
    old.shutdown().await.unwrap();
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.execute_batch("CREATE TABLE others (day); CREATE INDEX by_day ON others (day)").unwrap();
    let setup = "CREATE TABLE made (id INTEGER PRIMARY KEY); CREATE INDEX by_day ON made (id)";
    let new = runner(setup).rebuild_aside().patience(Duration::ZERO).max_retries(0).spawn();
    new.wait_for(last).await.unwrap_err();
    let next = Claim::new(Uuid::now_v7(), "the next", Duration::from_mins(1));
    assert_eq!(store.lease_projection(Partition::whole("Made"), next).await.unwrap().taken, None);
}
