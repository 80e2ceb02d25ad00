//! Concurrent calls, and dropped futures.

use std::collections::HashSet;

use tokio::sync::{Barrier, watch};
use tokio::task::yield_now;

use super::{
    AppendError, Arc, EventStore, ExpectedVersion, Filter, NewEvent, Position, STANDSTILL, StreamId, Uuid, Version,
    a_stream, a_stream_of, an_event, appended, dropped_after, events, feed_after, is_conflict, stored, stored_after,
};
use crate::store::Traced;
use crate::testing::history::{History, is_linearizable};

/// Of all that append to one stream with the version that they saw, one wins each version.
pub async fn writers_of_one_stream_take_turns<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 1).await;
    let (tasks, each) = (16, 4);
    let start = Arc::new(Barrier::new(tasks));
    let writers: Vec<_> = (0..tasks)
        .map(|_| {
            let (store, stream, start) = (store.clone(), stream.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                let (mut won, mut seen) = (Vec::new(), Version::new(1));
                start.wait().await;
                while won.len() < each {
                    let event = an_event("Placed", "1");
                    let id = event.id;
                    // So that others append to what was read.
                    yield_now().await;
                    match store.append(&stream, ExpectedVersion::Exact(seen), vec![event]).await {
                        Ok(_) => {
                            won.push((seen.get() + 1, id));
                            seen = Version::new(seen.get() + 1);
                        }
                        Err(AppendError::Conflict(_)) => {
                            seen = stored_after(&store, &stream, seen).await.last().map_or(seen, |last| last.version);
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
    let stored: Vec<_> =
        stored(&store, &stream).await.iter().skip(1).map(|event| (event.version.get(), event.id)).collect();
    assert_eq!(won.len(), tasks * each);
    assert!(won == stored, "what was acknowledged is what is stored");
}

/// If many append at once, a conflict reports that of its own append.
pub async fn conflict_among_many_is_one_append_s_own<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for _ in 0..10 {
        let appends: Vec<_> = (0..16)
            .map(|number| {
                let store = store.clone();
                let expected =
                    if number % 4 == 1 { ExpectedVersion::Exact(Version::new(9)) } else { ExpectedVersion::Any };
                tokio::spawn(async move {
                    let stream = a_stream_of(&store, 1).await;
                    let result = store.append(&stream, expected, events(2)).await;
                    (number % 4 == 1, result, stored(&store, &stream).await.len())
                })
            })
            .collect();
        for append in appends {
            match append.await.expect("an append does not panic") {
                (true, result, length) => assert!(is_conflict(&result) && length == 1, "{result:?}"),
                (false, result, length) => assert!(result.is_ok() && length == 3, "{result:?}"),
            }
        }
    }
}

/// One append that several make at once is stored once, and all get its result.
pub async fn append_made_twice_at_once_is_stored_once<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for _ in 0..20 {
        let (stream, batch, start) = (a_stream(), events(2), Arc::new(Barrier::new(4)));
        let appends: Vec<_> = (0..4)
            .map(|_| {
                let (store, stream, batch, start) = (store.clone(), stream.clone(), batch.clone(), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    store.append(&stream, ExpectedVersion::Any, batch).await
                })
            })
            .collect();
        for append in appends {
            append.await.expect("an append does not panic").expect("each of them succeeds");
        }
        assert_eq!(stored(&store, &stream).await.len(), 2);
    }
}

/// Whoever reads while others append sees an append whole or not at all.
pub async fn readers_see_whole_appends<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let (told, mut lengths) = watch::channel(0);
    let reader = {
        let (store, stream) = (store.clone(), stream.clone());
        tokio::spawn(async move {
            let mut seen_more = 0;
            while seen_more < 20 {
                let length = stored(&store, &stream).await.len();
                assert_eq!(length % 3, 0, "an append was seen in part");
                let before = told.send_replace(length);
                assert!(length >= before, "what was seen stays");
                seen_more += usize::from(length > before);
                yield_now().await;
            }
        })
    };
    // A few at a time, so that there is an end to what a read finds; until the reader has seen it grow often enough.
    while lengths.changed().await.is_ok() {
        for _ in 0..5 {
            appended(&store, &stream, events(3)).await;
            yield_now().await;
        }
    }
    reader.await.expect("the reader does not panic");
}

/// A subscription that begins in the middle shows all that eight writers append, before and after, once and in order.
pub async fn subscription_has_neither_gap_nor_duplicate<S: EventStore>(open: impl AsyncFn() -> S) {
    is_shown_beside_writers(open().await, Filter::all()).await;
}

/// So does a filtered one: what is appended while a page is read is not skipped with what is hidden.
pub async fn filtered_subscription_has_neither_gap_nor_duplicate<S: EventStore>(open: impl AsyncFn() -> S) {
    is_shown_beside_writers(open().await, Filter::all().event_types(["Placed"])).await;
}

async fn is_shown_beside_writers<S: EventStore>(store: S, filter: Filter) {
    let store = Traced::over(store);
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(writes(store.clone(), filter.clone()))).collect();
    let end = an_event("Placed", "the end");
    let last_id = end.id;
    let written = tokio::spawn({
        let store = store.clone();
        async move {
            let mut made = HashSet::from([last_id]);
            for writer in writers {
                made.extend(writer.await.expect("a writer does not panic"));
            }
            // Whoever sees it has seen everything, and waits for nothing that was skipped.
            appended(&store, &a_stream(), vec![end]).await;
            made
        }
    });
    let mut subscription = store.subscribe_to(Position::START, filter.clone());
    let (mut seen, mut last, mut polls) = (Vec::new(), Position::START, 0);
    while seen.last() != Some(&last_id) {
        // Now and then the future is dropped half-way, which must lose nothing.
        polls += 1;
        let next = if polls % 3 == 0 {
            dropped_after(1 + polls % 4, subscription.next()).await
        } else {
            let next = tokio::time::timeout(STANDSTILL, subscription.next()).await;
            Some(next.expect("the last event is not passed over"))
        };
        if let Some(event) = next {
            let event = event.expect("the feed can be read");
            assert!(event.position > last, "positions ascend");
            last = event.position;
            if filter.shows(&event.event_type, event.stream.aggregate_type()) {
                seen.push(event.id);
            }
        }
    }
    let made = written.await.expect("a writer does not panic");
    assert_eq!(seen.len(), made.len(), "each is shown once");
    assert!(made == seen.into_iter().collect::<HashSet<_>>());
}

/// Appends to a stream of its own; returns the ids of the events that a filter matches.
async fn writes<S: EventStore>(store: S, filter: Filter) -> Vec<Uuid> {
    let (stream, mut shown) = (a_stream(), Vec::new());
    for round in 0..50 {
        let types = ["Placed", "Shipped"].into_iter().cycle().skip(round).take(1 + round % 3);
        let batch: Vec<_> = types.map(|event_type| an_event(event_type, "1")).collect();
        let is_shown = |event: &&NewEvent| filter.shows(event.event_type, stream.aggregate_type());
        shown.extend(batch.iter().filter(is_shown).map(|event| event.id));
        appended(&store, &stream, batch).await;
    }
    shown
}

/// Wherever a future is dropped, the store takes the next call, and what was appended is whole.
pub async fn dropped_futures_leave_the_store_consistent<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for polls in 0..6 {
        for _ in 0..20 {
            let (stream, batch) = (a_stream(), events(3));
            drop(dropped_after(polls, store.append(&stream, ExpectedVersion::Any, batch.clone())).await);
            drop(dropped_after(polls, store.read_stream(&stream, Version::START, 10)).await);
            drop(dropped_after(polls, store.read_all(Position::START, &Filter::all(), 10)).await);
            drop(dropped_after(polls, store.head()).await);
            // This one may never be woken again.
            dropped_after(polls.min(1), store.changed(Position::new(u64::MAX))).await;
            // Made again, it is stored once, whether or not the dropped one was.
            let again = store.append(&stream, ExpectedVersion::Any, batch).await;
            assert!(again.is_ok(), "it can be made again: {again:?}");
            assert_eq!(stored(&store, &stream).await.len(), 3);
        }
    }
}

/// Whatever several tasks see of one stream is explained by each call happening at one moment. Meanwhile the head is
/// that of an event, and not before what was appended.
pub async fn histories_are_linearizable<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for round in 0..12 {
        let (stream, history) = (a_stream(), History::default());
        let tasks: Vec<_> = (0..4)
            .map(|task| tokio::spawn(calls(store.clone(), stream.clone(), history.clone(), round * 4 + task)))
            .collect();
        for task in tasks {
            task.await.expect("a task does not panic");
        }
        let calls = history.into_calls();
        assert!(is_linearizable(&calls), "no order of these calls explains what they returned: {calls:#?}");
    }
}

/// Appends and reads in turns, with every expectation; now and then an append whose result stays unknown.
async fn calls<S: EventStore>(store: S, stream: StreamId, history: History, seed: usize) {
    let (mut version, mut earlier) = (Version::START, events(1));
    for step in 0..6 {
        let choice = (seed * 31 + step * 17 + seed * step) % 7;
        if choice < 2 {
            let call = history.begin_read();
            let events = stored(&store, &stream).await;
            version = Version::new(events.len() as u64);
            call.read(events.iter().map(|event| event.id));
            continue;
        }
        let expected = match choice {
            2 => ExpectedVersion::Any,
            3 => ExpectedVersion::NoStream,
            _ => ExpectedVersion::Exact(version),
        };
        // The sixth choice is the last append made again.
        let batch = if choice == 6 { earlier.clone() } else { events(1 + step % 2) };
        earlier.clone_from(&batch);
        let call = history.begin_append(expected, batch.iter().map(|event| event.id));
        if choice == 5 {
            match dropped_after(1, store.append(&stream, expected, batch)).await {
                None => drop(call),
                Some(result) => call.appended(&result),
            }
        } else {
            let result = store.append(&stream, expected, batch).await;
            call.appended(&result);
            if let Ok(appended) = result {
                head_is_committed(&store, appended.position).await;
            }
        }
    }
}

/// The head is not before what was appended, and there is an event at it that can be read.
async fn head_is_committed<S: EventStore>(store: &S, appended: Position) {
    let head = store.head().await.expect("the head can be read");
    assert!(head >= appended, "the head is {head} when {appended} was appended");
    let (events, _) = feed_after(store, Position::new(head.get() - 1), &Filter::all(), 10).await;
    assert_eq!(events.first().map(|event| event.position), Some(head), "the head is that of an event");
}
