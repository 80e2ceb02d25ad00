//! Folds, pages, the feed and its head.

use std::ops::ControlFlow;

use super::{
    Arc, EventStore, Filter, NewEvent, Origin, Position, StreamId, Uuid, Version, a_stream, an_event, appended, events,
    feed, origin, stored,
};
use crate::domain::EventRef;
use crate::store::{Fold, Visitor};

/// Notes what it is shown, and stops when it has enough.
struct Notes {
    enough: usize,
    shown: Vec<(u64, Vec<u8>)>,
}

impl Visitor for Notes {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.shown.push((event.version.get(), event.payload.to_vec()));
        if self.shown.len() == self.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn notes(enough: usize) -> Notes {
    Notes { enough, shown: Vec::new() }
}

/// A fold shows every event after a version once, in order, however many there are.
pub async fn fold_shows_the_events_after_a_version<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let length = 5000;
    appended(&store, &stream, events(length)).await;
    appended(&store, &a_stream(), events(1)).await;
    for after in [0, 1, 63, 64, 65, 255, 256, 4095, 4096, 4999, 5000, 6000] {
        let fold = Fold { stream: stream.clone(), after: Version::new(after), first_event: None };
        let folded = store.fold(fold, notes(usize::MAX)).await.expect("a stream can be folded");
        let expected: Vec<_> = (after..length as u64).map(|at| (at + 1, at.to_string().into_bytes())).collect();
        assert_eq!(folded.visited, expected.len() as u64);
        assert!(folded.visitor.shown == expected, "after {after}");
    }
    let fold = Fold { stream: a_stream(), after: Version::START, first_event: None };
    assert_eq!(store.fold(fold, notes(1)).await.expect("no stream can be folded").visited, 0);
}

/// A visitor that has enough is shown nothing more.
pub async fn fold_stops_where_the_visitor_stops<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(10)).await;
    let fold = Fold { stream, after: Version::START, first_event: None };
    let folded = store.fold(fold, notes(3)).await.expect("a stream can be folded");
    assert_eq!((folded.visited, folded.visitor.shown.len()), (3, 3));
}

/// A command that was handled before is found by the id of its first event, with where its append ended.
pub async fn fold_finds_an_earlier_command<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let mut ends = Vec::new();
    for count in [2, 3, 1] {
        let origin = Arc::new(Origin { causation_id: Some(Uuid::now_v7()), ..origin() });
        let batch: Vec<_> =
            events(count).into_iter().map(|event| NewEvent { origin: Arc::clone(&origin), ..event }).collect();
        let first = batch[0].id;
        ends.push((first, appended(&store, &stream, batch).await));
    }
    for (id, appended) in ends {
        let fold = |stream: &StreamId| Fold { stream: stream.clone(), after: Version::START, first_event: Some(id) };
        let folded = store.fold(fold(&stream), notes(100)).await.expect("a stream can be folded");
        assert_eq!(folded.earlier, Some(appended.repeated()));
        assert_eq!(folded.visited, 0, "the state is not needed then");
        let elsewhere = store.fold(fold(&a_stream()), notes(100)).await.expect("no stream can be folded");
        assert_eq!(elsewhere.earlier, None);
    }
    let fold = Fold { stream, after: Version::START, first_event: Some(Uuid::now_v7()) };
    let folded = store.fold(fold, notes(100)).await.expect("a stream can be folded");
    assert_eq!((folded.earlier, folded.visited), (None, 6));
}

/// A stream is read in pages of the length that was asked for.
pub async fn stream_is_read_in_pages<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(700)).await;
    for limit in [1, 64, 300, 700, 1000] {
        let page = store.read_stream(&stream, Version::new(10), limit).await.expect("a stream can be read");
        assert_eq!(page.len(), limit.min(690));
        assert_eq!(page.first().map(|event| event.version.get()), Some(11));
    }
    assert!(store.read_stream(&stream, Version::new(700), 10).await.expect("a stream can be read").is_empty());
    assert!(store.read_stream(&stream, Version::START, 0).await.expect("a stream can be read").is_empty());
    assert_eq!(stored(&store, &stream).await.len(), 700);
}

/// The feed shows every event of every stream once, in order of position.
pub async fn feed_is_in_order_of_position<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, one, other) = (open().await, a_stream(), a_stream());
    assert!(feed(&store, &Filter::all(), 10).await.is_empty());
    let mut ids = Vec::new();
    for round in 0..100 {
        let batch = events(1 + round % 7);
        ids.extend(batch.iter().map(|event| event.id));
        appended(&store, if round % 3 == 0 { &one } else { &other }, batch).await;
    }
    for limit in [1, 7, 256, 1000] {
        let fed: Vec<_> = feed(&store, &Filter::all(), limit).await.iter().map(|event| event.id).collect();
        assert!(fed == ids, "pages of {limit}");
    }
}

/// A filter hides events by type and by aggregate; what it hides is passed over all the same.
pub async fn feed_shows_what_the_filter_shows<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (order, invoice) = (a_stream(), StreamId::new("Invoice", "1-a"));
    for _ in 0..300 {
        appended(&store, &order, vec![an_event("Placed", "1"), an_event("Shipped", "2")]).await;
        appended(&store, &invoice, vec![an_event("Placed", "3")]).await;
    }
    let cases = [
        (Filter::all(), 900),
        (Filter::all().event_types(["Placed"]), 600),
        (Filter::all().aggregate_types(["Order"]), 600),
        (Filter::all().event_types(["Placed", "Paid"]).aggregate_types(["Invoice"]), 300),
        (Filter::all().event_types(["Paid"]), 0),
        (Filter::all().event_types([]), 0),
    ];
    for (filter, count) in cases {
        let fed = feed(&store, &filter, 100).await;
        assert_eq!(fed.len(), count, "{filter:?}");
        assert!(fed.iter().all(|event| filter.shows(&event.event_type, event.stream.aggregate_type())));
    }
}

/// The head is the position of the last event.
pub async fn head_is_the_last_position<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert_eq!(store.head().await.expect("the head can be read"), Position::START);
    let last = appended(&store, &a_stream(), events(3)).await.position;
    assert_eq!(store.head().await.expect("the head can be read"), last);
}
