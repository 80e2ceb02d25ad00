//! What an append expects of its stream, and the conflict if it finds something else.

use super::{
    AppendError, Appended, EventStore, ExpectedVersion, StreamId, Version, a_stream, a_stream_of, appended, events,
    is_conflict, stored,
};
use crate::store::Conflict;

const fn exact(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version::new(version))
}

/// Appends one event, and two, to streams of so many events: one alone a store may append in another way.
async fn tries<S: EventStore>(
    open: impl AsyncFn() -> S,
    before: usize,
    expected: ExpectedVersion,
) -> [Result<Appended, AppendError>; 2] {
    let (store, one, two) = (open().await, a_stream(), a_stream());
    for stream in [&one, &two] {
        if before > 0 {
            appended(&store, stream, events(before)).await;
        }
    }
    [store.append(&one, expected, events(1)).await, store.append(&two, expected, events(2)).await]
}

async fn admits<S: EventStore>(open: impl AsyncFn() -> S, before: usize, expected: ExpectedVersion) {
    for result in tries(open, before, expected).await {
        assert!(result.is_ok(), "expected {expected}: {result:?}");
    }
}

async fn refuses<S: EventStore>(open: impl AsyncFn() -> S, before: usize, expected: ExpectedVersion) {
    for result in tries(open, before, expected).await {
        assert!(is_conflict(&result), "expected {expected}: {result:?}");
    }
}

/// `NoStream` matches a stream without events.
pub async fn no_stream_admits_no_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    admits(open, 0, ExpectedVersion::NoStream).await;
}

/// `NoStream` does not match a stream with events.
pub async fn no_stream_refuses_a_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 2, ExpectedVersion::NoStream).await;
}

/// `Exists` matches a stream with events.
pub async fn exists_admits_a_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    admits(open, 2, ExpectedVersion::Exists).await;
}

/// `Exists` does not match a stream without events.
pub async fn exists_refuses_no_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 0, ExpectedVersion::Exists).await;
}

/// An older version than the stream's is stale, also if the append would end beyond the stream's end.
pub async fn exact_refuses_an_older_version<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 2, exact(1)).await;
}

/// A version that the stream has not reached yet is a conflict.
pub async fn exact_refuses_a_newer_version<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 2, exact(3)).await;
}

/// A stream without events has no version but the start.
pub async fn exact_refuses_no_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 0, exact(1)).await;
}

/// Versions that share their low bits are different ones.
pub async fn exact_is_compared_to_the_last_bit<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 1).await;
    for high in [8, 16, 31, 32, 63] {
        let result = store.append(&stream, exact((1 << high) + 1), events(1)).await;
        assert!(is_conflict(&result), "bit {high}: {result:?}");
    }
    let stream = a_stream_of(&store, 257).await;
    let result = store.append(&stream, exact(1), events(1)).await;
    assert!(is_conflict(&result), "version 257 is not 1: {result:?}");
}

/// The version before the first is that of a stream without events.
pub async fn exact_start_admits_no_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    admits(open, 0, exact(0)).await;
}

/// The version before the first is not that of a stream with events.
pub async fn exact_start_refuses_a_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    refuses(open, 2, exact(0)).await;
}

/// The conflict of an append that expects version 9 of a stream with three events.
async fn a_conflict<S: EventStore>(store: &S) -> (StreamId, Conflict) {
    let stream = a_stream_of(store, 3).await;
    match store.append(&stream, exact(9), events(1)).await {
        Err(AppendError::Conflict(conflict)) => (stream, conflict),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// A conflict says which stream it is about.
pub async fn conflict_names_the_stream<S: EventStore>(open: impl AsyncFn() -> S) {
    let (stream, conflict) = a_conflict(&open().await).await;
    assert_eq!(conflict.stream, stream);
}

/// A conflict says what the append expected.
pub async fn conflict_tells_what_was_expected<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(a_conflict(&open().await).await.1.expected, exact(9));
}

/// A conflict says where the stream stands, from where a reader may continue.
pub async fn conflict_tells_the_actual_version<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(a_conflict(&open().await).await.1.actual, 3);
}

/// Nothing of a refused append is stored.
pub async fn conflict_stores_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 3).await;
    // Other cases check the result.
    let _ = store.append(&stream, exact(5), events(4)).await.is_err();
    assert_eq!(stored(&store, &stream).await.len(), 3);
}

/// Refused events were never stored: appended at the right version, they are new.
pub async fn refused_events_may_be_appended_later<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, batch) = (open().await, events(1));
    let stream = a_stream_of(&store, 3).await;
    assert!(store.append(&stream, exact(9), batch.clone()).await.is_err());
    let later = appended(&store, &stream, batch).await;
    assert!(!later.repeated);
}

/// Ids that look alike name different streams, and come back as they were given.
pub async fn stream_ids_differ_to_the_last_character<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let long = "l".repeat(300);
    let longer = format!("{long}l");
    let alike = [
        "a",
        "A",
        "a ",
        " a",
        "",
        "-",
        "a-",
        "a-b",
        "a_b",
        "a%",
        "ä",
        "a\u{308}",
        "\u{1F600}",
        "'; --",
        "\"",
        "\\",
        "\n",
    ];
    let ids = alike.into_iter().chain([long.as_str(), longer.as_str()]);
    let streams: Vec<_> = ids.map(|id| StreamId::new("Order", id)).collect();
    for (before, stream) in streams.iter().enumerate() {
        let result = store.append(stream, ExpectedVersion::Any, events(1 + before)).await;
        assert!(result.is_ok(), "{stream:?}: {result:?}");
    }
    for (before, stream) in streams.iter().enumerate() {
        let events = stored(&store, stream).await;
        assert_eq!(events.len(), 1 + before, "{stream:?}");
        assert!(events.iter().all(|event| event.stream == *stream), "{stream:?}");
    }
}

/// A stream belongs to a type and an id: the same id of another type is another stream.
pub async fn aggregates_of_two_types_may_share_an_id<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let order = a_stream_of(&store, 2).await;
    let invoice = StreamId::new("Invoice", order.aggregate_id());
    appended(&store, &invoice, events(1)).await;
    assert_eq!((stored(&store, &order).await.len(), stored(&store, &invoice).await.len()), (2, 1));
}
