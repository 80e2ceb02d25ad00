//! Appends that are made again.

use super::{
    AppendError, Appended, Arc, EventStore, ExpectedVersion, NewEvent, Origin, StreamId, Timestamp, Version, a_stream,
    an_event, appended, events, is_mismatch, origin, stored,
};

/// An append of two events, and one after it.
async fn made<S: EventStore>(store: &S) -> (StreamId, Vec<NewEvent>, Appended) {
    let (stream, batch) = (a_stream(), events(2));
    appended(store, &stream, events(1)).await;
    let first = appended(store, &stream, batch.clone()).await;
    appended(store, &stream, events(2)).await;
    (stream, batch, first)
}

/// A repeated append has its first result, whatever was appended since.
pub async fn retried_append_returns_the_first_result<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, batch, first) = made(&store).await;
    let again = appended(&store, &stream, batch).await;
    assert_eq!((again.version, again.position, again.events), (first.version, first.position, first.events));
}

/// A repeated append says that it had been made.
pub async fn retried_append_says_so<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, batch, first) = made(&store).await;
    assert!(!first.repeated);
    assert!(appended(&store, &stream, batch).await.repeated);
}

/// Its expectation held when it was first made; that it no longer does is no conflict.
pub async fn retried_append_is_not_held_to_its_expectation<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, batch, _) = made(&store).await;
    for expected in [ExpectedVersion::Exact(Version::new(1)), ExpectedVersion::NoStream] {
        let again = store.append(&stream, expected, batch.clone()).await;
        assert!(again.is_ok(), "expected {expected}: {again:?}");
    }
}

/// A repeated append stores nothing twice.
pub async fn retried_append_stores_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, batch, _) = made(&store).await;
    let _ = store.append(&stream, ExpectedVersion::Any, batch).await.is_ok();
    assert_eq!(stored(&store, &stream).await.len(), 5);
}

/// Decided again at another time, from another cause and in another trace, they are the same events.
pub async fn retried_append_may_bear_another_time<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, batch, _) = made(&store).await;
    let first = stored(&store, &stream).await[1].recorded_at;
    let later = Arc::new(Origin { recorded_at: Timestamp::from_micros(1), ..origin() });
    let batch = batch.into_iter().map(|event| NewEvent { origin: Arc::clone(&later), ..event }).collect();
    let again = store.append(&stream, ExpectedVersion::Any, batch).await;
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(stored(&store, &stream).await[1].recorded_at, first, "the first time stays");
}

/// Appends an event, then another one under its id.
async fn known_id_with<S: EventStore>(open: impl AsyncFn() -> S, change: impl FnOnce(NewEvent) -> NewEvent) {
    let (store, stream, known) = (open().await, a_stream(), an_event("Placed", "1"));
    appended(&store, &stream, vec![known.clone()]).await;
    let result = store.append(&stream, ExpectedVersion::Any, vec![change(known)]).await;
    assert!(is_mismatch(&result), "{result:?}");
}

/// Another payload is another event.
pub async fn known_id_with_another_payload_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    known_id_with(open, |known| NewEvent { payload: "2".into(), ..known }).await;
}

/// Another type is another event.
pub async fn known_id_with_another_type_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    known_id_with(open, |known| NewEvent { event_type: "Shipped", ..known }).await;
}

/// Another schema version is another event.
pub async fn known_id_with_another_schema_version_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    known_id_with(open, |known| NewEvent { schema_version: 2, ..known }).await;
}

/// The same events in another order, or without one in their middle, are another append.
pub async fn known_ids_in_another_order_are_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, batch) = (open().await, a_stream(), events(3));
    appended(&store, &stream, batch.clone()).await;
    appended(&store, &stream, events(2)).await;
    for order in [[1, 0], [0, 2]] {
        let others = order.map(|ordinal: usize| batch[ordinal].clone()).to_vec();
        let result = store.append(&stream, ExpectedVersion::Any, others).await;
        assert!(is_mismatch(&result), "{order:?}: {result:?}");
    }
}

/// An id belongs to one stream.
pub async fn known_id_in_another_stream_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, known) = (open().await, events(1));
    appended(&store, &a_stream(), known.clone()).await;
    let result = store.append(&a_stream(), ExpectedVersion::Any, known).await;
    assert!(is_mismatch(&result), "{result:?}");
}

/// A known event makes the new ones next to it part of another append, wherever it stands among them.
pub async fn known_id_among_new_ones_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    for at in 0..3 {
        let (stream, known, mut batch) = (a_stream(), events(1), events(2));
        appended(&store, &stream, known.clone()).await;
        batch.insert(at, known[0].clone());
        let result = store.append(&stream, ExpectedVersion::Any, batch).await;
        assert!(is_mismatch(&result), "{at}: {result:?}");
    }
}

/// Two events of one append never share an id, whether or not they are alike.
pub async fn repeated_id_in_one_append_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, twice) = (open().await, a_stream(), an_event("Placed", "1"));
    for other in [twice.clone(), NewEvent { payload: "2".into(), ..twice.clone() }] {
        let batch = vec![an_event("Placed", "0"), twice.clone(), other, an_event("Placed", "3")];
        let result = store.append(&stream, ExpectedVersion::Any, batch).await;
        assert!(is_mismatch(&result), "{result:?}");
    }
}

/// A mismatch names the event at fault, rather than only the append.
pub async fn mismatch_names_the_event<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, known) = (open().await, a_stream(), events(1));
    appended(&store, &stream, known.clone()).await;
    let mut batch = events(2);
    batch.insert(1, known[0].clone());
    // Other cases check that it is a mismatch.
    if let Err(AppendError::IdempotencyMismatch { stream: of, id }) =
        store.append(&stream, ExpectedVersion::Any, batch).await
    {
        assert_eq!((of, id), (stream, known[0].id));
    }
}
