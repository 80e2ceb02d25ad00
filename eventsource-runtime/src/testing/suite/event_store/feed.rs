//! The feed of all streams, and what a filter shows of it.

use super::{
    Arc, EventStore, Filter, NewEvent, Origin, Position, StreamId, Timestamp, Uuid, a_stream, an_event, appended,
    events, feed, feed_after, origin,
};
use crate::store::Traced;

/// The feed shows every event of every stream once, in order of position.
pub async fn feed_is_in_order_of_position<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, one, other) = (open().await, a_stream(), a_stream());
    let mut ids = Vec::new();
    for round in 0..60 {
        let batch = events(1 + round % 7);
        ids.extend(batch.iter().map(|event| event.id));
        appended(&store, if round % 3 == 0 { &one } else { &other }, batch).await;
    }
    for limit in [1, 7, 256, 1000] {
        let fed: Vec<_> = feed(&store, &Filter::all(), limit).await.iter().map(|event| event.id).collect();
        assert!(fed == ids, "pages of {limit}");
    }
}

/// The feed is in the order of the appends, even if the clocks of the appending processes step back.
pub async fn feed_goes_by_no_clock<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, one, other) = (open().await, a_stream(), a_stream());
    let (now, mut ids) = (origin(), Vec::new());
    for hour in 0..6 {
        let recorded_at = Timestamp::from_micros(now.recorded_at.as_micros() - hour * 3_600_000_000);
        let event = NewEvent { origin: Arc::new(Origin { recorded_at, ..now.clone() }), ..an_event("Placed", "1") };
        ids.push(event.id);
        appended(&store, if hour % 2 == 0 { &one } else { &other }, vec![event]).await;
    }
    let fed: Vec<_> = feed(&store, &Filter::all(), 100).await.iter().map(|event| event.id).collect();
    assert_eq!(fed, ids, "a feed is not sorted by time");
}

/// A page is no longer than was asked for.
pub async fn feed_page_has_its_limit<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(300)).await;
    for limit in [1, 64, 255, 256, 299] {
        let page = store.read_all(Position::START, &Filter::all(), limit).await.expect("the feed can be read");
        assert!(page.events.len() <= limit, "{} events where {limit} were asked for", page.events.len());
    }
}

/// A page of no events skips none, whatever a filter hides.
pub async fn feed_is_not_passed_over_where_no_events_are_asked_for<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let end = appended(&store, &stream, events(3)).await.position;
    let hidden = Filter::all().event_types(["Shipped"]);
    for filter in [Filter::all(), Filter::all().event_types(["Placed"]), hidden] {
        for after in [Position::START, Position::new(1), end] {
            let page = store.read_all(after, &filter, 0).await.expect("the feed can be read");
            assert!(page.events.is_empty(), "{} events where none were asked for", page.events.len());
            assert_eq!(page.scanned, after, "a page of no events has looked at none");
        }
    }
}

/// What a filter hides is skipped, however much it is: more than a store looks at for one page, which then shows nothing.
pub async fn feed_passes_over_what_it_hides<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, events(10_000)).await;
    appended(&store, &stream, vec![an_event("Shipped", "1")]).await;
    let filter = Filter::all().event_types(["Shipped"]);
    let shown = feed(&store, &filter, 10).await;
    assert!(shown.iter().any(|event| &*event.event_type == "Shipped"));
    // Whoever reads event by event passes over such a page as well.
    let (mut feed, mut is_shown) = (Traced::over(store).feed(Position::START, filter), false);
    while let Some(event) = feed.next().await.expect("the feed can be read") {
        is_shown = &*event.event_type == "Shipped";
    }
    assert!(is_shown);
}

/// Asked for everything, a filtered page begins after what was read before, and reports how far it looked.
pub async fn filter_without_a_limit_begins_where_it_is_asked_to<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let first = appended(&store, &stream, vec![an_event("Placed", "1")]).await.position;
    let last = appended(&store, &stream, vec![an_event("Placed", "2")]).await.position;
    let filter = Filter::all().event_types(["Placed"]);
    for (after, shown) in [(first, 1), (last, 0)] {
        let (events, scanned) = feed_after(&store, after, &filter, usize::MAX).await;
        assert_eq!((events.len(), scanned), (shown, last), "behind {after}");
    }
}

/// The payloads that a filter matches of four events, two types of them in two types of aggregates.
async fn shown<S: EventStore>(open: impl AsyncFn() -> S, filter: Filter) -> String {
    let (store, order, parcel) = (open().await, a_stream(), StreamId::new("Parcel", Uuid::now_v7()));
    appended(&store, &order, vec![an_event("Placed", "a"), an_event("Shipped", "b")]).await;
    appended(&store, &parcel, vec![an_event("Placed", "c"), an_event("Shipped", "d")]).await;
    let events = feed(&store, &filter, 10).await;
    events.iter().map(|event| String::from_utf8_lossy(event.payload()).into_owned()).collect()
}

/// Only the listed types of events are shown.
pub async fn filter_selects_event_types<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(shown(&open, Filter::all().event_types(["Placed"])).await, "ac");
    assert_eq!(shown(&open, Filter::all().event_types(["Paid", "Shipped"])).await, "bd");
}

/// Only events of the listed types of aggregates are shown.
pub async fn filter_selects_aggregate_types<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(shown(&open, Filter::all().aggregate_types(["Order"])).await, "ab");
    assert_eq!(shown(&open, Filter::all().aggregate_types(["Parcel", "Pallet"])).await, "cd");
}

/// With two lists, both have to name what is shown.
pub async fn filter_selects_what_both_lists_name<S: EventStore>(open: impl AsyncFn() -> S) {
    let filter = Filter::all().event_types(["Placed"]).aggregate_types(["Parcel"]);
    assert_eq!(shown(&open, filter).await, "c");
}

/// A list that names nothing shows nothing.
pub async fn filter_of_no_types_shows_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    assert_eq!(shown(&open, Filter::all().event_types([""; 0])).await, "");
    assert_eq!(shown(&open, Filter::all().aggregate_types([""; 0])).await, "");
}

/// A name does not match as a prefix, nor in another case.
pub async fn filter_compares_whole_names<S: EventStore>(open: impl AsyncFn() -> S) {
    for name in ["Plac", "placed", "Placed ", "P_aced", "%"] {
        assert_eq!(shown(&open, Filter::all().event_types([name]).aggregate_types(["Order"])).await, "", "{name}");
    }
    for name in ["Ord", "order", "Order-", "O%"] {
        assert_eq!(shown(&open, Filter::all().event_types(["Placed"]).aggregate_types([name])).await, "", "{name}");
    }
}
