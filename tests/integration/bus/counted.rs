//! What is counted of messages that were sent, and of those that came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::store::StreamId;
use eventsource_tests::own_bus::{remote, until_settled};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use uuid::Uuid;

fn message(stream: u32) -> Message {
    Message::new(StreamId::new("Order", stream), "OrderPlaced", "{}")
}

/// How many messages were counted as sent, by the failure's name and the partition.
fn sent(metrics: &InMemoryMetricExporter) -> BTreeMap<(String, String), u64> {
    let mut counted = BTreeMap::new();
    for point in Measured::last(metrics).iter().filter(|point| point.name == "messaging.client.sent.messages") {
        assert_eq!(point.said("messaging.operation.type"), "", "not listed for this instrument");
        let [error, partition] = ["error.type", "messaging.destination.partition.id"].map(|key| point.said(key));
        *counted.entry((error, partition)).or_default() += point.count;
    }
    counted
}

/// How many messages were counted as consumed, and how many attempts to handle one.
fn consumed_and_handled(metrics: &InMemoryMetricExporter) -> [u64; 2] {
    let points = Measured::last(metrics);
    let counted = |name: &str| points.iter().filter(|point| point.name == name).map(|point| point.count).sum();
    ["messaging.client.consumed.messages", "messaging.process.duration"].map(counted)
}

#[tokio::test]
async fn messages_that_never_left_are_not_counted_as_sent() {
    let (recorder, metrics) = Recorder::measured();
    let (bus, closed, id) = (remote(), InProcessBus::new(), Uuid::now_v7());
    let text = id.to_string();
    let never = Message::read([("event_id", text.as_bytes())], "{}".into());
    recorder
        .run(async {
            closed.shutdown_within(Duration::ZERO).await.unwrap();
            closed.publish(message(1)).await.unwrap_err();
            bus.inner().refuse_for_good(Some(id));
            // Those behind it are not tried either.
            bus.publish_all([never, message(3), message(4)]).await.unwrap_err();
            bus.inner().refuse_for_good(None);
            bus.publish_all([message(1), message(2)]).await.unwrap();
            bus.inner().fail(1);
            bus.publish_all([message(1), message(2)]).await.unwrap_err();
        })
        .await;
    recorder.flush().await;
    let expected = [((String::new(), "3".to_owned()), 2), (("backend".to_owned(), String::new()), 1)];
    assert_eq!(sent(&metrics), BTreeMap::from(expected));
}

/// They cost the broker and the network what others do.
#[tokio::test]
async fn messages_that_nobody_here_wants_are_counted_as_consumed() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let bus = remote();
            let running = bus.subscribe("inventory").event_types(["OrderPlaced"]);
            let running = running.handle(async |_: Received| Ok(())).await.unwrap();
            let unwanted = || Message::new(StreamId::new("Order", 1), "OrderShipped", "{}");
            // The last one is handled, so that all have been taken by then.
            bus.publish_all([unwanted(), unwanted(), message(1)]).await.unwrap();
            until_settled(&running, 1).await;
            assert_eq!(running.shutdown().await.unwrap().acknowledged, 1);
        })
        .await;
    recorder.flush().await;
    assert_eq!(consumed_and_handled(&metrics), [3, 1]);
}

#[tokio::test]
async fn a_message_is_counted_as_consumed_once_however_often_it_is_tried() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let (bus, failures) = (remote(), Arc::new(AtomicUsize::new(2)));
            let handler = move |_: Received| {
                let fails =
                    failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                async move { if fails { Err(HandlerError::new("not this time")) } else { Ok(()) } }
            };
            let running = bus.subscribe("inventory").pauses(Duration::ZERO, Duration::ZERO);
            let running = running.handle(handler).await.unwrap();
            bus.publish(message(1)).await.unwrap();
            until_settled(&running, 1).await;
            running.shutdown().await.unwrap();
        })
        .await;
    recorder.flush().await;
    assert_eq!(consumed_and_handled(&metrics), [1, 3]);
}
