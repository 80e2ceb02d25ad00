//! Pages of a stream. Every case that reads a stream checks that they begin after a version and go to the end.

use super::{EventStore, Version, a_stream_of};

/// A page is no longer than was asked for.
pub async fn stream_page_has_its_limit<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 700).await;
    for limit in [1, 64, 300, 689] {
        let page = store.read_stream(&stream, Version::new(10), limit).await.expect("a stream can be read");
        assert!(page.len() <= limit, "{} events where {limit} were asked for", page.len());
        assert_eq!(page.first().map(|event| event.version.get()), Some(11));
    }
}

/// A page of no events has none.
pub async fn no_events_are_read_where_none_are_asked_for<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 3).await;
    assert!(store.read_stream(&stream, Version::START, 0).await.expect("a stream can be read").is_empty());
}
