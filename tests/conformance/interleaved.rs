//! The feed while it grows: nothing missed, nothing twice, and no stream out of its order.

use eventsource_runtime::StoredEvent;
use eventsource_runtime::store::{
    AppendError, EventStore, ExpectedVersion, MemoryStore, Position, SqliteStore, StreamId, Subscription, Traced,
    Version,
};
use eventsource_tests::own_store::remote;
use uuid::Uuid;

use crate::{a_stream, events};

/// What a subscriber has seen, in order.
#[derive(Default)]
struct Seen {
    ids: Vec<Uuid>,
    last: Position,
}

impl Seen {
    fn take(&mut self, event: &StoredEvent) {
        assert!(event.position > self.last, "no event appears behind a reader");
        self.last = event.position;
        self.ids.push(event.id);
    }

    async fn read<S: EventStore>(&mut self, subscription: &mut Subscription<S>, count: usize) {
        for _ in 0..count {
            self.take(&subscription.next().await.unwrap());
        }
    }
}

/// Every order in which four writers can append two events each, up to the writers' names.
fn interleavings() -> Vec<Vec<usize>> {
    fn extend(order: &[usize], found: &mut Vec<Vec<usize>>) {
        if order.len() == 8 {
            found.push(order.to_vec());
            return;
        }
        let begun = order.iter().max().map_or(0, |last| last + 1);
        for writer in 0..=begun.min(3) {
            if order.iter().filter(|&&other| other == writer).count() < 2 {
                extend(&[order, &[writer]].concat(), found);
            }
        }
    }
    let mut found = Vec::new();
    extend(&[], &mut found);
    found
}

/// Appends an event, after one that is refused, which leaves nothing behind.
async fn append_one<S: EventStore>(store: &S, stream: &StreamId) -> Uuid {
    let refused = store.append(stream, ExpectedVersion::Exact(Version::new(99)), events(1)).await;
    assert!(matches!(refused, Err(AppendError::Conflict(_))), "the stream is not that long");
    let event = events(1);
    let id = event[0].id;
    store.append(stream, ExpectedVersion::Any, event).await.unwrap();
    id
}

/// In every order of four writers with two events each, of which every two overlap and come in the scheduler's order, a
/// subscriber that looks after each two has seen what was committed; and one that begins at the first event sees the
/// same.
async fn every_interleaving<S: EventStore>(store: S) {
    let store = Traced::over(store);
    let (mut subscription, mut seen, mut committed) = (store.subscribe(Position::START), Seen::default(), Vec::new());
    let orders = interleavings();
    assert_eq!(orders.len(), 105);
    for order in orders {
        let streams = [a_stream(), a_stream(), a_stream(), a_stream()];
        for pair in order.chunks(2) {
            let other = {
                let (store, stream) = (store.clone(), streams[pair[1]].clone());
                tokio::spawn(async move { append_one(&store, &stream).await })
            };
            let mut ids = [append_one(&store, &streams[pair[0]]).await, other.await.unwrap()];
            committed.extend(ids);
            seen.read(&mut subscription, 2).await;
            let mut shown = seen.ids[seen.ids.len() - 2..].to_vec();
            shown.sort_unstable();
            ids.sort_unstable();
            assert_eq!(shown, ids, "what was committed is seen");
        }
        for stream in &streams {
            let stored = store.read_stream(stream, Version::START, 10).await.unwrap();
            assert_eq!(stored.len(), 2, "each writer has appended twice");
            let places = stored.iter().map(|event| seen.ids.iter().position(|id| *id == event.id).unwrap());
            assert!(places.is_sorted(), "a stream keeps its order");
        }
    }
    assert_eq!(store.head().await.unwrap(), seen.last, "there is no more to be seen");
    let mut again = Seen::default();
    again.read(&mut store.subscribe(Position::START), committed.len()).await;
    assert!(again.ids == seen.ids, "the feed is the same for everybody");
}

/// Readers that are dropped and begin where they were see all that several writers append meanwhile, refused appends
/// among them, once and in order.
async fn readers_that_begin_anew<S: EventStore>(store: S) {
    let store = Traced::over(store);
    let (writers, each) = (4, 50);
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let stream = a_stream();
                let mut ids = Vec::new();
                for _ in 0..each {
                    ids.push(append_one(&store, &stream).await);
                }
                ids
            })
        })
        .collect();
    let (mut seen, mut round) = (Seen::default(), 0);
    while seen.ids.len() < writers * each {
        round += 1;
        let count = (1 + round * 5 % 7).min(writers * each - seen.ids.len());
        let mut subscription = store.subscribe(seen.last);
        seen.read(&mut subscription, count).await;
    }
    for task in tasks {
        let ids = task.await.unwrap();
        let places = ids.iter().map(|id| seen.ids.iter().position(|seen| seen == id).unwrap());
        assert!(places.is_sorted(), "a writer's events are in its order");
    }
}

async fn in_a_file() -> SqliteStore {
    super::sqlite::open(&super::sqlite::a_file()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_interleaving_of_four_writers_is_seen_in_order() {
    every_interleaving(MemoryStore::new()).await;
    every_interleaving(remote()).await;
    every_interleaving(SqliteStore::open(":memory:").await.unwrap()).await;
    every_interleaving(in_a_file().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_begin_anew_miss_nothing() {
    readers_that_begin_anew(MemoryStore::new()).await;
    readers_that_begin_anew(remote()).await;
    readers_that_begin_anew(SqliteStore::open(":memory:").await.unwrap()).await;
    readers_that_begin_anew(in_a_file().await).await;
}
