//! A relay whose bus takes nothing: what it says of that, and how often.

use std::error::Error;
use std::time::Duration;

use eventsource_runtime::bus::{InProcessBus, InProcessOptions, PublishError, Received, Relay};
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::logged::Log;

use crate::following::place_many;

/// It said that the store was closed, and that it was to be opened again.
#[tokio::test]
async fn a_relay_whose_bus_was_shut_down_stops_and_says_so() {
    let (store, bus) = (MemoryStore::new(), InProcessBus::new());
    let relay = Relay::new("closed", store.clone(), bus.clone()).spawn();
    bus.shutdown().await.unwrap();
    let last = place_many(&store, 3).await;
    let stopped = relay.wait_for(last).await.unwrap_err();
    assert_eq!((stopped.error_type(), stopped.event()), ("closed", None));
    assert_eq!(stopped.source().unwrap().to_string(), PublishError::Closed.to_string());
    relay.shutdown().await.unwrap_err();
}

/// Each second there were two errors and a warning in the log, under the name `backend`, from the first start of a shop
/// until somebody subscribed. On a clock that goes on when all wait for it.
#[tokio::test(start_paused = true)]
async fn what_a_bus_refuses_is_told_by_the_name_of_its_error_and_less_and_less_often() {
    let (log, _guard) = Log::of_thread();
    let bus = InProcessBus::with_options(InProcessOptions::default().refuse_unroutable());
    let store = MemoryStore::new();
    let last = place_many(&store, 3).await;
    let relay = Relay::new("early", store, bus.clone()).spawn();
    relay.wait_for_within(last, Duration::from_mins(2)).await.unwrap_err();
    let running = bus.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
    relay.wait_for(last).await.unwrap();
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
    let logged = [log.names_of("eventsource::projection"), log.names_of("eventsource::bus::in_process")].concat();
    assert!(logged.iter().all(|name| name == "eventsource.projection.retried"), "{logged:?}");
    assert!(log.says("eventsource.projection.retried", "eventsource.retry.count", 64), "once a second");
    assert!(logged.len() < 16, "{logged:?}");
    assert!(log.texts_of("error.type").iter().all(|error_type| error_type == "unroutable"));
}
