//! What is an event's fault, on SQLite most of all, and what is trouble of the store or of something else.

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

/// Each was tried six times, which took two seconds, before the next event had its turn.
#[tokio::test]
async fn what_cannot_be_decoded_is_not_retried() {
    for (payload, version) in [("nonsense", 1), (REASON, 99)] {
        let (store, _, at) = poisoned(payload, version).await;
        let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter);
        let projections = runner.projection(Tally::sound()).spawn();
        projections.wait_for(at[4]).await.unwrap();
        projections.shutdown().await.unwrap();
        let letters = DeadLetters::new(store, Tally::sound()).list(Position::START, 10).await.unwrap();
        assert_eq!((letters[0].position, letters[0].retries), (at[2], 0));
    }
}

/// Fails with what the reason says, as often as it is told to.
#[derive(Clone)]
struct Saying(Arc<AtomicUsize>);

#[derive(Debug, thiserror::Error)]
#[error("nobody answers")]
struct Away;

#[projection]
impl Saying {
    fn cancelled(&self, event: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        if self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Ok(());
        }
        match &*event.reason {
            "permanent" => Err(ProjectionError::from(Away).permanent()),
            "trouble" => Err(ProjectionError::trouble(Away)),
            _ => Err(Away.into()),
        }
    }
}

#[tokio::test]
async fn what_a_step_calls_permanent_is_not_retried() {
    let (store, saying) = (MemoryStore::new(), Saying(Arc::new(AtomicUsize::new(usize::MAX))));
    let last = cancel(&store, &a_stream(), "{\"reason\":\"permanent\"}", 1).await;
    let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter);
    let projections = runner.projection(saying.clone()).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let letters = DeadLetters::new(store, saying).list(Position::START, 10).await.unwrap();
    assert_eq!((letters[0].retries, &*letters[0].error_type), (0, "Away"));
}

#[tokio::test]
async fn what_a_step_calls_trouble_is_waited_for() {
    for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
        let (store, left) = (MemoryStore::new(), Arc::new(AtomicUsize::new(3)));
        let last = cancel(&store, &a_stream(), "{\"reason\":\"trouble\"}", 1).await;
        let runner = ProjectionRunner::new(store.clone()).on_failure(policy).max_retries(0);
        let projections = runner.projection(Saying(Arc::clone(&left))).spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        let letters = DeadLetters::new(store.clone(), Saying(Arc::clone(&left)));
        assert_eq!(letters.list(Position::START, 10).await.unwrap(), [], "{policy:?}");

        // It is not waited for without end.
        left.store(usize::MAX, Ordering::SeqCst);
        let failed = cancel(&store, &a_stream(), "{\"reason\":\"trouble\"}", 1).await;
        let runner = ProjectionRunner::new(store).on_failure(policy).patience(Duration::ZERO);
        let projections = runner.projection(Saying(left)).spawn();
        let stopped = projections.wait_for(failed).await.unwrap_err();
        assert_eq!((stopped.error_type(), stopped.event(), stopped.is_permanent()), ("Away", None, false));
    }
}

/// Writes into a column that is not there.
struct Renamed;

#[projection]
impl Renamed {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE seen (position INTEGER PRIMARY KEY)")?)
    }

    fn cancelled(&self, event: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let column = if event.reason == "poison" { "place" } else { "position" };
        tx.execute(&format!("INSERT INTO seen ({column}) VALUES (?1)"), [event.position().get()])?;
        Ok(())
    }
}

/// A renamed column: each event of three dozen was retried for two seconds, and sound streams waited for a minute.
#[tokio::test]
async fn a_statement_that_is_wrong_is_retried_for_one_event_alone() {
    let store = sqlite().await;
    let mut good = Vec::new();
    for _ in 0..3 {
        cancel(&store, &a_stream(), "{\"reason\":\"poison\"}", 1).await;
        good.push(cancel(&store, &a_stream(), REASON, 1).await);
    }
    let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter).max_retries(2);
    let projections = runner.projection(Renamed).spawn();
    projections.wait_for(good[2]).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(seen(&store).await, numbers(&good));
    let letters = DeadLetters::new(store, Renamed).list(Position::START, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.retries).collect::<Vec<_>>(), [2, 0, 0]);
}
