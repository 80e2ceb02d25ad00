//! Relays to a bus that takes a part of what it is given.

use eventsource_runtime::bus::Relay;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::own_bus::{remote, until_settled};

use super::relay::{NAME, collecting, ids, take};
use crate::following::place_many;
use crate::in_time;

/// It was published again with what was tried because of the other one.
#[tokio::test]
async fn what_stands_before_an_event_that_the_bus_can_never_take_is_published_once() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let last = place_many(&store, 5).await;
    let mut expected = ids(&store).await;
    remote.inner().refuse_for_good(expected.remove(2));
    let relay = Relay::new(NAME, store.clone(), remote.clone()).skip_unpublishable().spawn();
    relay.wait_for(last).await.unwrap();
    until_settled(&running, 4).await;
    let published: Vec<_> = take(&mut seen, 4).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, expected);
    relay.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 4, "none twice");
}

/// The bus takes what comes after it, since that is of other streams.
#[tokio::test]
async fn what_was_not_published_is_passed_over_for_nothing_that_was() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let last = place_many(&store, 5).await;
    let all = ids(&store).await;
    remote.inner().refuse_once(all[2]);
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    relay.wait_for(last).await.unwrap();
    in_time(until_settled(&running, 7)).await;
    let published: Vec<_> = take(&mut seen, 7).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, [0, 1, 3, 4, 2, 3, 4].map(|at| all[at]));
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}
