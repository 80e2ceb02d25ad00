//! Many at once, and futures that are dropped.

use std::collections::HashSet;

use super::{
    AppendError, EventStore, ExpectedVersion, Filter, Position, Version, a_stream, an_event, appended, dropped_after,
    events, stored,
};
use crate::store::Traced;

/// Of all that append to one stream with the version that they have seen, one wins each version.
pub async fn writers_of_one_stream_take_turns<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let (tasks, each) = (64, 4);
    let writers: Vec<_> = (0..tasks)
        .map(|_| {
            let (store, stream) = (store.clone(), stream.clone());
            tokio::spawn(async move {
                let (mut won, mut seen) = (Vec::new(), Version::START);
                while won.len() < each {
                    let event = an_event("Placed", "1");
                    let id = event.id;
                    match store.append(&stream, ExpectedVersion::Exact(seen), vec![event]).await {
                        Ok(appended) => {
                            assert_eq!(appended.version.get(), seen.get() + 1);
                            seen = appended.version;
                            won.push((appended.version.get(), id));
                        }
                        Err(AppendError::Conflict(conflict)) => {
                            assert!(conflict.actual > seen, "the stream has moved on");
                            seen = conflict.actual;
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won = Vec::new();
    for writer in writers {
        won.extend(writer.await.expect("a writer does not panic"));
    }
    won.sort_unstable();
    let stored: Vec<_> = stored(&store, &stream).await.iter().map(|event| (event.version.get(), event.id)).collect();
    assert_eq!(won.len(), tasks * each);
    assert!(won == stored, "what was acknowledged is what is stored");
}

/// Who waits for a position to be passed is woken by the append that passes it, and at once if it is passed already.
pub async fn changed_wakes_who_waits<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let mut head = Position::START;
    for _ in 0..20 {
        let waiter = {
            let store = store.clone();
            tokio::spawn(async move {
                // It may return early, so that waiting is a loop.
                while store.head().await.expect("the head can be read") <= head {
                    store.changed(head).await;
                }
            })
        };
        let appended = appended(&store, &a_stream(), events(1)).await;
        waiter.await.expect("a waiter does not panic");
        store.changed(head).await;
        head = appended.position;
    }
}

/// A subscription that begins in the middle shows all that eight writers append, before and after, once and in order.
pub async fn subscription_has_neither_gap_nor_duplicate<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = Traced::over(open().await);
    let (writers, each) = (8, 50);
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let stream = a_stream();
                let mut ids = Vec::new();
                for round in 0..each {
                    let batch = events(1 + round % 3);
                    ids.extend(batch.iter().map(|event| event.id));
                    appended(&store, &stream, batch).await;
                }
                ids
            })
        })
        .collect();
    let total = writers * (0..each).map(|round| 1 + round % 3).sum::<usize>();
    let mut subscription = store.subscribe(Position::START);
    let (mut seen, mut last, mut polls) = (Vec::new(), Position::START, 0);
    while seen.len() < total {
        // Now and then the future is dropped half-way, which loses nothing.
        polls += 1;
        let next = if polls % 3 == 0 {
            dropped_after(1 + polls % 4, subscription.next()).await
        } else {
            Some(subscription.next().await)
        };
        if let Some(event) = next {
            let event = event.expect("the feed can be read");
            assert!(event.position > last, "positions ascend");
            last = event.position;
            seen.push(event.id);
        }
    }
    let mut made = HashSet::new();
    for task in tasks {
        made.extend(task.await.expect("a writer does not panic"));
    }
    assert_eq!(made.len(), total);
    assert!(made == seen.into_iter().collect::<HashSet<_>>());
}

/// Wherever a future is dropped, the store takes the next call, and what was appended is whole.
pub async fn dropped_futures_leave_the_store_consistent<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for polls in 0..6 {
        for _ in 0..20 {
            let stream = a_stream();
            let batch = events(3);
            let append = store.append(&stream, ExpectedVersion::NoStream, batch.clone());
            let done = dropped_after(polls, append).await;
            drop(dropped_after(polls, store.read_stream(&stream, Version::START, 10)).await);
            drop(dropped_after(polls, store.read_all(Position::START, &Filter::all(), 10)).await);
            drop(dropped_after(polls, store.head()).await);
            // Nothing need ever wake this one a second time.
            dropped_after(polls.min(1), store.changed(Position::new(u64::MAX))).await;
            // Made again it is stored once, whether or not the dropped one was.
            let again = store.append(&stream, ExpectedVersion::NoStream, batch).await.expect("it can be made again");
            assert_eq!(again.version, 3);
            if let Some(done) = done {
                assert_eq!(again, done.expect("it was made").repeated());
            }
            assert_eq!(stored(&store, &stream).await.len(), 3);
        }
    }
}
