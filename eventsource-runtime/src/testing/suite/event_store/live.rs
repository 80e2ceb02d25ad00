//! The head of the feed, and waiting for it to move.

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::timeout;

use super::{
    EventStore, ExpectedVersion, Position, STANDSTILL, StreamId, Version, a_stream, a_stream_of, appended, events, last,
};

/// Before the first event there is no position.
pub async fn head_of_an_empty_store_is_the_start<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(open().await.head().await.expect("the head can be read"), Position::START);
}

/// The head is the position of the last event, of few as of many.
pub async fn head_is_the_last_position<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for count in [3, 1, 300, 2] {
        let stream = a_stream_of(&store, count).await;
        let head = store.head().await.expect("the head can be read");
        assert_eq!(head, last(&store, &stream).await.position);
    }
}

/// The head is that of events: an append that is refused has none.
pub async fn head_stays_where_an_append_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, batch) = (open().await, a_stream(), events(2));
    appended(&store, &stream, batch.clone()).await;
    let refused = [
        (stream.clone(), ExpectedVersion::NoStream, events(1)),
        (stream, ExpectedVersion::Exact(Version::new(1)), events(2)),
        (a_stream(), ExpectedVersion::Exists, events(1)),
        (a_stream(), ExpectedVersion::Any, batch),
        (StreamId::new("", 1), ExpectedVersion::Any, events(1)),
    ];
    for (stream, expected, events) in refused {
        let before = store.head().await.expect("the head can be read");
        // Other cases check that it is refused.
        if store.append(&stream, expected, events).await.is_err() {
            let head = store.head().await.expect("the head can be read");
            assert_eq!(head, before, "{stream:?}, expected {expected}");
        }
    }
}

/// If there is more already, nobody waits.
pub async fn changed_returns_at_once_where_there_is_more<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    a_stream_of(&store, 2).await;
    let changed = timeout(STANDSTILL, store.changed(Position::START)).await;
    changed.expect("it waits for nothing");
}

/// An append wakes all who wait.
pub async fn changed_wakes_all_who_wait<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let mut head = appended(&store, &stream, events(1)).await.position;
    for _ in 0..10 {
        let mut waiting = Vec::new();
        for mut waiter in (0..3).map(|_| Box::pin(store.changed(head))) {
            // One that returns early, as it may, no longer waits.
            if poll_fn(|task| Poll::Ready(waiter.as_mut().poll(task).is_pending())).await {
                waiting.push(waiter);
            }
        }
        head = appended(&store, &stream, events(1)).await.position;
        for waiter in waiting {
            timeout(STANDSTILL, waiter).await.expect("it is woken");
        }
    }
}
