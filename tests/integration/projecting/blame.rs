//! What is an event's fault on SQLite, and what is the store's trouble.

use std::sync::atomic::AtomicBool;

use eventsource_tests::scratch::Scratch;

use super::*;

/// Notes the position of each event, and behind that of a poisoned one another that is not there, which is found out
/// when it is committed.
struct Chain;

#[projection]
impl Chain {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(
            "CREATE TABLE seen (position INTEGER PRIMARY KEY,
                after INTEGER REFERENCES seen (position) DEFERRABLE INITIALLY DEFERRED)",
        )?)
    }

    fn cancelled(&self, event: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let after = (event.reason == "poison").then_some(-1);
        tx.execute("INSERT INTO seen VALUES (?1, ?2)", (event.position().get(), after))?;
        Ok(())
    }
}

/// It was the store's trouble, which no policy acts in: the projection tried again for minutes and stopped.
#[tokio::test]
async fn what_a_deferred_constraint_refuses_follows_the_policy() {
    for policy in [OnFailure::Skip, OnFailure::DeadLetter] {
        let (store, bad) = (sqlite().await, a_stream());
        let (mut good, mut failed) = (Vec::new(), Position::START);
        for number in 0..20 {
            if number == 13 {
                failed = cancel(&store, &bad, "{\"reason\":\"poison\"}", 1).await;
            }
            good.push(cancel(&store, &a_stream(), REASON, 1).await);
        }
        let runner = ProjectionRunner::new(store.clone()).projection(Chain).max_retries(0).on_failure(policy);
        let projections = runner.spawn();
        projections.wait_for(good[19]).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(seen(&store).await, numbers(&good));
        let letters = DeadLetters::new(store, Chain).list(Position::START, 10).await.unwrap();
        if policy == OnFailure::DeadLetter {
            assert_eq!((letters.len(), letters[0].position), (1, failed));
            assert_eq!(letters[0].reason, "FOREIGN KEY constraint failed");
        }
    }
}

/// Keeps a large row for each event, in a file that may not grow by as much before it is told to.
#[derive(Clone, Default)]
struct Hoard {
    has_room: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

#[derive(Debug, thiserror::Error)]
#[error("a row cannot be kept")]
struct Unkept(#[source] rusqlite::Error);

#[projection]
impl Hoard {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("CREATE TABLE seen (position INTEGER PRIMARY KEY, large BLOB)")?;
        let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        Ok(tx.execute_batch(&format!("PRAGMA max_page_count = {}", pages + 20))?)
    }

    fn cancelled(&self, event: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.has_room.load(Ordering::SeqCst) {
            tx.execute_batch("PRAGMA max_page_count = 1000000")?;
        }
        let insert = "INSERT INTO seen VALUES (?1, zeroblob(1048576))";
        tx.execute(insert, [event.position().get()]).map_err(Unkept)?;
        Ok(())
    }
}

/// It was held against the event, which the policy skipped.
#[tokio::test]
async fn a_full_disk_loses_no_event() {
    for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
        let scratch = Scratch::new();
        let (store, hoard) = (anew::open(&scratch.file()).await, Hoard::default());
        let last = cancel(&store, &a_stream(), REASON, 1).await;
        let runner = ProjectionRunner::new(store.clone()).projection(hoard.clone()).max_retries(0);
        let projections = runner.on_failure(policy).spawn();
        let tried = async {
            while hoard.attempts.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = tried => hoard.has_room.store(true, Ordering::SeqCst),
            ended = projections.wait_for(last) => panic!("{policy:?}: {ended:?}"),
        }
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(seen(&store).await, [last.get()], "{policy:?}");
    }
}
