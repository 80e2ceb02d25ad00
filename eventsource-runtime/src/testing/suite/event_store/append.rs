//! Appends: expectations, atomicity, and that what was written comes back.

use super::{
    AppendError, Arc, EventStore, ExpectedVersion, Filter, NewEvent, Position, Version, a_stream, an_event, appended,
    events, feed, origin, stored, with_metadata,
};
use crate::store::{Conflict, MAX_PAYLOAD};

/// Each of the four expectations admits what it names and nothing else.
pub async fn admits_what_is_expected<S: EventStore>(open: impl AsyncFn() -> S) {
    use ExpectedVersion::{Any, Exact, Exists, NoStream};
    let store = open().await;
    let cases = [
        (Any, true, true),
        (NoStream, true, false),
        (Exists, false, true),
        (Exact(Version::START), true, false),
        (Exact(Version::new(2)), false, true),
        (Exact(Version::new(1)), false, false),
        (Exact(Version::new(3)), false, false),
    ];
    for (expected, on_none, on_two) in cases {
        let (none, two) = (a_stream(), a_stream());
        appended(&store, &two, events(2)).await;
        assert_eq!(store.append(&none, expected, events(1)).await.is_ok(), on_none, "{expected} of no stream");
        assert_eq!(store.append(&two, expected, events(1)).await.is_ok(), on_two, "{expected} of two events");
        assert_eq!(stored(&store, &none).await.len(), usize::from(on_none));
        assert_eq!(stored(&store, &two).await.len(), 2 + usize::from(on_two));
    }
}

/// A conflict names the stream, what was expected and what was found.
pub async fn conflict_tells_expected_and_actual<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(3)).await;
    let expected = ExpectedVersion::Exact(Version::new(2));
    match store.append(&stream, expected, events(1)).await {
        Err(AppendError::Conflict(conflict)) => {
            assert_eq!(conflict, Conflict::new(stream, expected, Version::new(3)));
        }
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// Versions go from 1 without holes, stream by stream, and an append returns its last one.
pub async fn versions_are_dense<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, one, other) = (open().await, a_stream(), a_stream());
    let first = appended(&store, &one, events(2)).await;
    assert_eq!((first.version.get(), first.events, first.repeated), (2, 2, false));
    assert_eq!(appended(&store, &other, events(1)).await.version, 1);
    let last = appended(&store, &one, events(3)).await;
    assert_eq!((last.version.get(), last.events), (5, 3));
    assert!(last.position > first.position);
    let stored = stored(&store, &one).await;
    assert_eq!(stored.len(), 5);
    assert_eq!(stored.last().map(|event| event.position), Some(last.position));
}

/// An append that fails at any of its events stores none of them.
pub async fn append_is_all_or_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let known = events(1);
    appended(&store, &a_stream(), known.clone()).await;
    for at in 0..4 {
        let mut batch = events(3);
        batch.insert(at, known[0].clone());
        assert!(store.append(&stream, ExpectedVersion::Any, batch).await.is_err());
        assert!(stored(&store, &stream).await.is_empty(), "fault at {at}");
    }
    assert_eq!(appended(&store, &stream, events(1)).await.version, 1);
    assert_eq!(feed(&store, &Filter::all(), 10).await.len(), 2);
}

/// Nothing to append: the expectation is checked all the same, and the result is where the stream stands.
pub async fn appending_nothing_checks_the_expectation<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let none = appended(&store, &stream, Vec::new()).await;
    assert_eq!((none.version, none.position, none.events), (Version::START, Position::START, 0));
    let two = appended(&store, &stream, events(2)).await;
    let still = store.append(&stream, ExpectedVersion::Exists, Vec::new()).await.expect("the stream exists");
    assert_eq!((still.version, still.position, still.events), (two.version, two.position, 0));
    let conflict = store.append(&stream, ExpectedVersion::NoStream, Vec::new()).await;
    assert!(matches!(conflict, Err(AppendError::Conflict(_))), "{conflict:?}");
}

/// A payload that is too long is refused with its size, and takes its neighbours with it.
pub async fn too_large_is_refused_before_anything_is_stored<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let batch = vec![an_event("Placed", "1"), an_event("Filmed", vec![b' '; MAX_PAYLOAD + 1])];
    match store.append(&stream, ExpectedVersion::Any, batch).await {
        Err(AppendError::TooLarge { event_type, size, .. }) => {
            assert_eq!((event_type, size), ("Filmed", MAX_PAYLOAD + 1));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    appended(&store, &stream, vec![an_event("Filmed", vec![b' '; MAX_PAYLOAD])]).await;
    assert_eq!(stored(&store, &stream).await.len(), 1);
}

/// Payloads are bytes: what a JSON column would change, refuse or lose comes back as it was.
pub async fn payload_comes_back_byte_for_byte<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let payloads: [&[u8]; 10] = [
        b"",
        br#"{"nul":"\u0000"}"#,
        br#"{"surrogate":"\ud800"}"#,
        br#"{"large":1e400,"zero":-0.0,"exact":1.10}"#,
        br#"{"b":1,"a":2,"b":3}"#,
        br"  [ 18446744073709551615 , -170141183460469231731687303715884105728 ]  ",
        b"\0\x01\xff\xfe not even text",
        "{\"text\":\"\u{202e}\u{1F600}\"}".as_bytes(),
        b"null",
        b"''; DROP TABLE events; --",
    ];
    let batch = payloads.iter().map(|payload| an_event("Placed", *payload)).collect();
    appended(&store, &stream, batch).await;
    let read: Vec<_> = stored(&store, &stream).await.iter().map(|event| event.payload().clone()).collect();
    assert_eq!(read, payloads);
    let fed: Vec<_> = feed(&store, &Filter::all(), 3).await.iter().map(|event| event.payload().clone()).collect();
    assert_eq!(fed, payloads);
}

/// All that is kept beside a payload comes back, by stream and by feed.
pub async fn envelope_comes_back<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let origin = Arc::new(with_metadata(&origin()));
    let new = NewEvent { schema_version: 7, origin: Arc::clone(&origin), ..an_event("Placed", "1") };
    let made = appended(&store, &stream, vec![new.clone(), an_event("Shipped", "2")]).await;
    let events = stored(&store, &stream).await;
    let event = &events[0];
    assert_eq!((event.id, &event.stream, &*event.event_type), (new.id, &stream, "Placed"));
    assert_eq!((event.schema_version, event.recorded_at), (7, origin.recorded_at));
    assert_eq!((event.correlation_id, event.causation_id), (origin.correlation_id, origin.causation_id));
    assert_eq!((&event.metadata, &event.trace_context), (&origin.metadata, &origin.trace_context));
    assert_eq!((events[1].correlation_id, events[1].metadata.is_empty()), (None, true));
    assert_eq!(events[1].position, made.position);
    assert_eq!(feed(&store, &Filter::all(), 10).await, events);
}
