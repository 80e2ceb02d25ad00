//! A server that crashes and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_runtime::store::{EventStore, ExpectedVersion, Filter, Position, PostgresStore, StreamId};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{PostgresServer, repeats};
use uuid::Uuid;

use super::{a_stream, events};

/// How often the server is stopped here; set to more for a long run.
const STOPS: &str = "EVENTSOURCE_TESTS_STOPS";

/// Eight tasks append while the server is stopped as by a crash and started again. What was acknowledged is there,
/// once; what failed can be made again with the same ids.
#[test]
fn a_server_that_crashes_loses_nothing_that_was_acknowledged() {
    run(async {
        let server = PostgresServer::start();
        let store = PostgresStore::connect(&server.address()).await.unwrap();
        let mut acknowledged = Vec::new();
        for _ in 0..repeats(STOPS, 2) {
            let enough = Arc::new(AtomicBool::new(false));
            let before = store.head().await.unwrap();
            let tasks: Vec<_> =
                (0..8).map(|_| tokio::spawn(append_until(store.clone(), Arc::clone(&enough)))).collect();
            // In the middle of the work.
            store.changed(Position::new(before.get() + 100)).await;
            server.crash();
            server.begin();
            enough.store(true, Ordering::SeqCst);
            for task in tasks {
                acknowledged.extend(task.await.unwrap());
            }
            verify(&store, &acknowledged).await;
        }
    });
}

async fn append_until(store: PostgresStore, enough: Arc<AtomicBool>) -> Vec<(StreamId, Uuid)> {
    let mut acknowledged = Vec::new();
    while !enough.load(Ordering::SeqCst) {
        let (stream, batch) = (a_stream(), events(3));
        let ids: Vec<Uuid> = batch.iter().map(|event| event.id).collect();
        // Until it is known to be stored: an error leaves that open, and the ids make it once.
        while let Err(error) = store.append(&stream, ExpectedVersion::NoStream, batch.clone()).await {
            assert_eq!(error.error_type(), "backend", "{error:?}");
            // Those that are refused at once leave the server the processor to start with.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        acknowledged.extend(ids.into_iter().map(|id| (stream.clone(), id)));
    }
    acknowledged
}

async fn verify(store: &PostgresStore, acknowledged: &[(StreamId, Uuid)]) {
    let mut feed = store.feed(Position::START, Filter::all());
    let mut stored = Vec::new();
    while let Some(event) = feed.next().await.unwrap() {
        assert_eq!(event.position.get(), stored.len() as u64 + 1, "positions have no holes");
        stored.push((event.stream.clone(), event.id));
    }
    let mut acknowledged = acknowledged.to_vec();
    stored.sort_unstable();
    acknowledged.sort_unstable();
    assert!(stored == acknowledged, "what was acknowledged is what is stored, once");
}
