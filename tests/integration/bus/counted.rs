//! What is counted of messages that were sent.

use std::collections::BTreeMap;

use eventsource_runtime::bus::{InProcessBus, Message};
use eventsource_runtime::store::StreamId;
use eventsource_tests::own_bus::remote;
use eventsource_tests::recorder::Recorder;
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use uuid::Uuid;

fn message(stream: u32) -> Message {
    Message::new(StreamId::new("Order", stream), "OrderPlaced", "{}")
}

fn value(attributes: &[&KeyValue], key: &str) -> String {
    attributes.iter().find(|found| found.key.as_str() == key).map(|found| found.value.to_string()).unwrap_or_default()
}

/// How many messages were counted as sent, by the failure's name and the partition.
fn sent(metrics: &InMemoryMetricExporter) -> BTreeMap<(String, String), u64> {
    let finished = metrics.get_finished_metrics().unwrap();
    let all = finished.last().into_iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
    let mut counted = BTreeMap::new();
    for metric in all.filter(|metric| metric.name() == "messaging.client.sent.messages") {
        let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { panic!("{metric:?}") };
        for point in sum.data_points() {
            let attributes: Vec<_> = point.attributes().collect();
            assert_eq!(value(&attributes, "messaging.operation.type"), "", "not listed for this instrument");
            let [error, partition] =
                ["error.type", "messaging.destination.partition.id"].map(|key| value(&attributes, key));
            *counted.entry((error, partition)).or_default() += point.value();
        }
    }
    counted
}

fn recorded() -> (Recorder, InMemoryMetricExporter) {
    let metrics = InMemoryMetricExporter::default();
    (Recorder::with(|builder| builder.metric_exporter(metrics.clone())), metrics)
}

#[tokio::test]
async fn messages_that_never_left_are_not_counted_as_sent() {
    let (recorder, metrics) = recorded();
    let (bus, closed, id) = (remote(), InProcessBus::new(), Uuid::now_v7());
    let text = id.to_string();
    let never = Message::read([("event_id", text.as_bytes())], "{}".into());
    recorder
        .run(async {
            closed.shutdown_within(std::time::Duration::ZERO).await;
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
