//! What an append returns, that it is atomic, and how much it may hold.

use super::{
    AppendError, EventStore, ExpectedVersion, NewEvent, Position, StreamId, Uuid, Version, a_stream, a_stream_of,
    an_event, appended, events, is_conflict, last, stored,
};
use crate::store::{MAX_APPEND, MAX_PAYLOAD, MAX_STREAM_ID};

/// The version that an append returns is that of its last event.
pub async fn append_returns_the_last_version<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    assert_eq!(appended(&store, &stream, events(2)).await.version, 2);
    assert_eq!(appended(&store, &stream, events(3)).await.version, 5);
}

/// The position that an append returns is that of its last event: whoever waits for it has waited for all of them.
pub async fn append_returns_the_last_position<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    a_stream_of(&store, 3).await;
    let stream = a_stream();
    let made = appended(&store, &stream, events(2)).await;
    assert_eq!(made.position, last(&store, &stream).await.position);
}

/// The events of one append have positions one after the other, so that the last tells all of them.
pub async fn append_takes_consecutive_positions<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    a_stream_of(&store, 3).await;
    let stream = a_stream_of(&store, 11).await;
    let positions: Vec<_> = stored(&store, &stream).await.iter().map(|event| event.position.get()).collect();
    assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{positions:?}");
}

/// An append returns how many events it had.
pub async fn append_counts_its_events<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    assert_eq!(appended(&store, &stream, events(2)).await.events, 2);
    assert_eq!(appended(&store, &stream, events(3)).await.events, 3);
}

/// An append that fails at any of its events stores none of them.
pub async fn append_is_all_or_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for at in 0..4 {
        let (stream, known, mut batch) = (a_stream(), events(1), events(3));
        appended(&store, &stream, known.clone()).await;
        batch.insert(at, known[0].clone());
        // Other cases check the result.
        let _ = store.append(&stream, ExpectedVersion::Any, batch).await.is_err();
        assert_eq!(stored(&store, &stream).await.len(), 1, "fault at {at}");
    }
}

/// Nothing to append: the result tells where the stream stands.
pub async fn appending_nothing_tells_where_the_stream_stands<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let none = appended(&store, &a_stream(), Vec::new()).await;
    assert_eq!((none.version, none.position, none.events), (Version::START, Position::START, 0));
    let stream = a_stream_of(&store, 2).await;
    a_stream_of(&store, 1).await;
    let still = appended(&store, &stream, Vec::new()).await;
    assert_eq!((still.version.get(), still.position, still.events), (2, last(&store, &stream).await.position, 0));
}

/// Nothing to append: the expectation is checked all the same.
pub async fn appending_nothing_checks_the_expectation<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 2).await;
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::new(1))] {
        let result = store.append(&stream, expected, Vec::new()).await;
        assert!(is_conflict(&result), "expected {expected}: {result:?}");
    }
    let result = store.append(&a_stream(), ExpectedVersion::Exists, Vec::new()).await;
    assert!(is_conflict(&result), "{result:?}");
}

/// A payload that is too long is refused with its type and size.
pub async fn too_large_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    let batch = vec![an_event("Placed", "1"), an_event("Filmed", vec![b' '; MAX_PAYLOAD + 1])];
    match open().await.append(&a_stream(), ExpectedVersion::Any, batch).await {
        Err(AppendError::TooLarge { event_type, size, .. }) => {
            assert_eq!((event_type, size), ("Filmed", MAX_PAYLOAD + 1));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Payloads that are too long together are refused, and nothing of them is stored.
pub async fn too_much_at_once_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, film) = (open().await, a_stream(), an_event("Filmed", vec![b' '; MAX_PAYLOAD]));
    let batch = (0..=MAX_APPEND / MAX_PAYLOAD).map(|_| NewEvent { id: Uuid::now_v7(), ..film.clone() });
    match store.append(&stream, ExpectedVersion::Any, batch.collect()).await {
        Err(AppendError::TooLarge { event_type, size, .. }) => assert_eq!((event_type, size), ("Filmed", MAX_PAYLOAD)),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert!(stored(&store, &stream).await.is_empty());
}

/// Next to a payload that is too long, nothing is stored.
pub async fn too_large_takes_its_neighbours_along<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let batch = vec![an_event("Placed", "1"), an_event("Filmed", vec![b' '; MAX_PAYLOAD + 1])];
    let _ = store.append(&stream, ExpectedVersion::Any, batch).await.is_err();
    assert!(stored(&store, &stream).await.iter().all(|event| &*event.event_type == "Filmed"));
}

/// No store allows NUL in a stream's id; there is no such stream to read either.
pub async fn nul_in_a_stream_id_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, StreamId::new("Order", "1\0"));
    match store.append(&stream, ExpectedVersion::Any, vec![an_event("Placed", "1")]).await {
        Err(AppendError::HoldsNul { place, .. }) => assert_eq!(place, "stream id"),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(stored(&store, &stream).await, []);
}

/// Nor in the name of an event's type.
pub async fn nul_in_an_event_type_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let batch = vec![an_event("Placed", "1"), an_event("Filmed\0", "2")];
    match store.append(&stream, ExpectedVersion::Any, batch).await {
        Err(AppendError::HoldsNul { place, .. }) => assert_eq!(place, "event type"),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(stored(&store, &stream).await, []);
}

/// Nothing can be appended to a stream of such a name.
async fn is_no_stream<S: EventStore>(open: impl AsyncFn() -> S, stream: StreamId) {
    let store = open().await;
    let refused = store.append(&stream, ExpectedVersion::Any, vec![an_event("Placed", "1")]).await;
    assert!(matches!(refused, Err(AppendError::InvalidStream { .. })), "{refused:?}");
    assert_eq!(stored(&store, &stream).await, []);
}

/// A stream has an aggregate type.
pub async fn empty_aggregate_type_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    is_no_stream(open, StreamId::new("", 1)).await;
}

/// The aggregate's type ends at the first hyphen: with one in it, it would come back as another.
pub async fn hyphen_in_an_aggregate_type_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    is_no_stream(open, StreamId::new("Purchase-Order", 1)).await;
}

/// A stream's name has a limit, the same on all stores.
pub async fn long_stream_id_is_refused<S: EventStore>(open: impl AsyncFn() -> S) {
    is_no_stream(open, StreamId::new("Order", "x".repeat(MAX_STREAM_ID - 5))).await;
}

/// The longest name that is allowed is that of a stream like others.
pub async fn longest_stream_id_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, StreamId::new("Order", "x".repeat(MAX_STREAM_ID - 6)));
    appended(&store, &stream, events(2)).await;
    assert_eq!(last(&store, &stream).await.stream, stream);
}

/// The longest payload that is allowed is stored.
pub async fn largest_payload_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, payload) = (open().await, a_stream(), vec![b'x'; MAX_PAYLOAD]);
    appended(&store, &stream, vec![an_event("Filmed", payload.clone())]).await;
    assert!(*last(&store, &stream).await.payload() == payload);
}
