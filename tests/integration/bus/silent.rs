//! A bus that has no result for a message.

use eventsource_runtime::bus::{PublishError, Received, Relay};
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::own_bus::remote;

use super::in_process::message;
use crate::following::place_many;

/// It counted as published: the relay passed over it.
#[tokio::test]
async fn a_relay_publishes_again_what_a_bus_has_no_result_for() {
    let (store, remote) = (MemoryStore::new(), remote());
    let running = remote.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
    remote.inner().keep_silent(1);
    let last = place_many(&store, 3).await;
    let relay = Relay::new("silent", store, remote.clone()).spawn();
    relay.wait_for(last).await.unwrap();
    relay.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 3);
}

#[tokio::test]
async fn what_a_bus_has_no_result_for_is_not_published() {
    let remote = remote();
    remote.inner().keep_silent(2);
    let outcome = remote.publish(message(1)).await;
    assert!(matches!(outcome, Err(PublishError::Backend { .. })), "{outcome:?}");
    let outcomes = remote.publish_each([message(1), message(2)]).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
}
