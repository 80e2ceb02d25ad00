//! Names that the server does not accept, since they hold a NUL: nothing has one of them.

use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{EventStore, ExpectedVersion, Filter, Position};
use eventsource_runtime::testing::run;
use eventsource_tests::services;

use super::{a_stream, events, open_in};

/// The server refused to read, where other stores find nothing.
#[test]
fn a_filter_by_a_name_that_no_event_has_shows_none() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        store.append(&a_stream(), ExpectedVersion::Any, events(2)).await.unwrap();
        let all = Filter::all;
        for (filter, shown) in [
            (all().event_types(["Pla\0ced"]), 0),
            (all().aggregate_types(["Or\0der"]), 0),
            (all().event_types(["Placed"]).aggregate_types(["Order\0"]), 0),
            (all().event_types(["\0", "Placed"]).aggregate_types(["Order", "Order\0"]), 2),
        ] {
            let page = store.read_all(Position::START, &filter, 10).await.unwrap();
            assert_eq!((page.events.len(), page.scanned), (shown, Position::new(2)), "{filter:?}");
        }
    });
}

#[test]
fn an_aggregate_type_that_no_stream_has_has_no_snapshots() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        assert_eq!(store.delete_snapshots("Or\0der").await.unwrap(), 0);
    });
}
