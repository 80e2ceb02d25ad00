//! Appends that are made again.

use super::{
    AppendError, Arc, EventStore, ExpectedVersion, NewEvent, Origin, Timestamp, Version, a_stream, an_event, appended,
    events, is_mismatch, origin, stored, with_metadata,
};

/// The same events again give the first result, whatever is expected and whatever came after.
pub async fn retried_append_returns_the_first_result<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(1)).await;
    for count in [1, 3] {
        let batch = events(count);
        let expected = ExpectedVersion::Exact(Version::new(stored(&store, &stream).await.len() as u64));
        let first = store.append(&stream, expected, batch.clone()).await.expect("the first append is made");
        appended(&store, &stream, events(2)).await;
        for expected in [expected, ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::Exists] {
            let before = stored(&store, &stream).await.len();
            let again = store.append(&stream, expected, batch.clone()).await.expect("it was made before");
            assert_eq!(again, first.repeated());
            assert_eq!(stored(&store, &stream).await.len(), before, "nothing is stored twice");
        }
        // Decided at another time and in another trace, it is the same event.
        let later = Arc::new(Origin { recorded_at: Timestamp::from_micros(1), ..with_metadata(&origin()) });
        let batch = batch.into_iter().map(|event| NewEvent { origin: Arc::clone(&later), ..event }).collect();
        assert_eq!(appended(&store, &stream, batch).await, first.repeated());
    }
}

/// The same id with another payload, type or schema version is an error and changes nothing.
pub async fn known_id_with_other_content_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let known = events(2);
    appended(&store, &stream, known.clone()).await;
    let last = known[1].clone();
    let others = [
        NewEvent { payload: "other".into(), ..last.clone() },
        NewEvent { event_type: "Shipped", ..last.clone() },
        NewEvent { schema_version: 2, ..last.clone() },
    ];
    for other in others {
        for expected in [ExpectedVersion::Any, ExpectedVersion::NoStream] {
            let result = store.append(&stream, expected, vec![known[0].clone(), other.clone()]).await;
            assert!(is_mismatch(&result, last.id), "{result:?}");
            let result = store.append(&stream, expected, vec![other.clone()]).await;
            assert!(is_mismatch(&result, last.id), "{result:?}");
        }
    }
    // The right events in another order are another append.
    let swapped = store.append(&stream, ExpectedVersion::Any, vec![known[1].clone(), known[0].clone()]).await;
    assert!(matches!(swapped, Err(AppendError::IdempotencyMismatch { .. })), "{swapped:?}");
    assert_eq!(stored(&store, &stream).await.len(), 2);
}

/// An id belongs to one stream.
pub async fn known_id_in_another_stream_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, other) = (open().await, a_stream(), a_stream());
    let known = events(1);
    appended(&store, &stream, known.clone()).await;
    let result = store.append(&other, ExpectedVersion::NoStream, known.clone()).await;
    assert!(is_mismatch(&result, known[0].id), "{result:?}");
    assert!(stored(&store, &other).await.is_empty());
}

/// New events beside a known one are not stored, wherever the known one stands.
pub async fn known_id_among_new_ones_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let known = events(1);
    appended(&store, &stream, known.clone()).await;
    for at in 0..3 {
        let mut batch = events(2);
        batch.insert(at, known[0].clone());
        for expected in [ExpectedVersion::Any, ExpectedVersion::NoStream] {
            let result = store.append(&stream, expected, batch.clone()).await;
            assert!(matches!(result, Err(AppendError::IdempotencyMismatch { .. })), "{result:?}");
            assert_eq!(stored(&store, &stream).await.len(), 1);
        }
    }
}

/// Two events of one append never share an id, whatever they hold.
pub async fn repeated_id_in_one_batch_is_a_mismatch<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let twice = an_event("Placed", "1");
    for other in [twice.clone(), NewEvent { payload: "2".into(), ..twice.clone() }] {
        let batch = vec![an_event("Placed", "0"), twice.clone(), other, an_event("Placed", "3")];
        let result = store.append(&stream, ExpectedVersion::Any, batch).await;
        assert!(is_mismatch(&result, twice.id), "{result:?}");
        assert!(stored(&store, &stream).await.is_empty());
    }
    assert_eq!(appended(&store, &stream, vec![twice]).await.version, 1);
}
