//! What a load asks of the server.

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::testing::run;
use eventsource_tests::services;

use super::locked::{Count, Counter};
use super::lost::behind_a_proxy;

/// The events that came with the snapshot began behind the one that proves it, and were all read again.
#[test]
fn a_load_that_begins_with_a_snapshot_asks_once() {
    run(async {
        let (proxy, store) = behind_a_proxy(&services::a_schema()).await;
        let repository = || Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(repository()).build();
        let counted = bus.dispatch(Count { counter: 1 }).await.unwrap();
        let stream = StreamId::new("Counter", 1);
        while !store.inner().snapshot_exists(&stream).await.unwrap() {
            tokio::task::yield_now().await;
        }
        let repository = repository();
        // The first one has its statement prepared.
        repository.load(&1).await.unwrap();
        let before = proxy.asked();
        let loaded = repository.load(&1).await.unwrap();
        assert_eq!((loaded.version, proxy.asked() - before), (counted.version, 1));
    });
}
