//! What a load asks of the server.

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::testing::run;
use eventsource_tests::services;

use super::locked::{Count, Counter};
use super::lost::behind_a_proxy;
use super::open_in;

/// The events that came with the snapshot began behind the one that proves it, and were all read again.
#[test]
fn a_load_that_begins_with_a_snapshot_asks_once() {
    run(async {
        let (proxy, store) = behind_a_proxy(&services::a_schema()).await;
        let repository = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(repository.clone()).build();
        let counted = bus.dispatch(Count { counter: 1 }).await.unwrap();
        // Then its connection is back, and all that follows has the same one.
        repository.snapshots_written().await;
        // The first one has its statement prepared.
        repository.load(&1).await.unwrap();
        let before = proxy.asked();
        let loaded = repository.load(&1).await.unwrap();
        assert_eq!((loaded.version, proxy.asked() - before), (counted.version, 1));
    });
}

/// The events that came with the snapshot were shown as if they were all that there are.
#[test]
fn a_snapshot_whose_row_cannot_be_read_is_none() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let counters = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(counters.clone()).build();
        for _ in 0..3 {
            bus.dispatch(Count { counter: 1 }).await.unwrap();
        }
        // Those that are made behind the commands' backs may be older.
        counters.snapshots_written().await;
        counters.create_snapshot(&1).await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        let damage = format!("UPDATE {schema}.snapshots SET position = -1");
        assert_eq!(raw.execute(&damage, &[]).await.unwrap(), 1);
        store.inner().latest_snapshot(&StreamId::new("Counter", 1)).await.unwrap_err();
        let loaded = counters.load(&1).await.unwrap();
        assert_eq!((loaded.version, loaded.state.count), (Version::new(3), 3));
    });
}
