//! A stranger's store passes the same suite.

use eventsource_runtime::snapshot::WithSnapshots;
use eventsource_runtime::{event_store_suite, projection_suite, snapshot_store_suite};
use eventsource_tests::faulty_snapshots::FaultySnapshots;
use eventsource_tests::own_store::{remote, sparing};

event_store_suite!(own_store, || async { remote() });
projection_suite!(projections, || async { remote() });
event_store_suite!(pages_of_one_event, || async { sparing() });
projection_suite!(projections_over_pages_of_one_event, || async { sparing() });
// Of snapshots alone, and beside the events of another.
snapshot_store_suite!(own_snapshots, || async { FaultySnapshots::default() });
snapshot_store_suite!(
    events_and_snapshots_apart,
    || async { WithSnapshots::new(remote(), FaultySnapshots::default()) },
    with_events
);
