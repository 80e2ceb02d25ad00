//! What is counted of messages that were sent.

use std::collections::BTreeMap;

use eventsource_runtime::bus::{InProcessBus, Message};
use eventsource_runtime::store::StreamId;
use eventsource_tests::own_bus::remote;
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

#[tokio::test]
async fn messages_that_never_left_are_not_counted_as_sent() {
    let (recorder, metrics) = Recorder::measured();
    let (bus, closed, id) = (remote(), InProcessBus::new(), Uuid::now_v7());
    let text = id.to_string();
    let never = Message::read([("event_id", text.as_bytes())], "{}".into());
    recorder
        .run(async {
            closed.shutdown_within(std::time::Duration::ZERO).await.unwrap();
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
