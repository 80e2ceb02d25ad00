//! What is told of calls to a database that answers nothing.

use eventsource_runtime::store::{EventStore, Filter, Position, StreamId, Version};
use eventsource_tests::own_store::remote;
use eventsource_tests::recorder::{Recorder, gauge};
use futures_util::poll;

const ACTIVE: &str = "eventsource.store.active";

/// A database that hung was seen nowhere: its calls were measured when they ended.
#[tokio::test]
async fn a_call_counts_as_one_that_waits_until_it_ends_or_is_dropped() {
    let (recorder, metrics) = Recorder::measured();
    let told = async || {
        recorder.flush().await;
        gauge(&metrics, ACTIVE)
    };
    let (store, stream, all) = (remote(), StreamId::new("Order", 1), Filter::all());
    let mut load = Box::pin(store.read_stream(&stream, Version::START, 10));
    let mut page = Box::pin(store.read_all(Position::START, &all, 10));
    recorder.run(async { assert!(poll!(&mut load).is_pending()) }).await;
    assert_eq!(told().await, Some(1));
    recorder.run(async { assert!(poll!(&mut page).is_pending()) }).await;
    assert_eq!(told().await, Some(2));
    drop(load);
    assert_eq!(told().await, Some(1));
    recorder.run(page).await.unwrap();
    assert_eq!(told().await, Some(0));
}

#[tokio::test]
async fn calls_of_a_store_whose_metrics_are_off_are_not_told() {
    let (recorder, metrics) = Recorder::measured();
    let (store, stream) = (remote().enable_metrics(false), StreamId::new("Order", 1));
    let mut load = Box::pin(store.read_stream(&stream, Version::START, 10));
    recorder.run(async { assert!(poll!(&mut load).is_pending()) }).await;
    recorder.flush().await;
    assert_eq!(gauge(&metrics, ACTIVE), None);
}
