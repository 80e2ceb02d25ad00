//! Kafka by hand: an idempotent producer that waits for all replicas, and a consumer that stores each offset.

use std::time::{Duration, Instant};

use eventsource_runtime::bus::{KafkaBus, KafkaOptions, Message};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use uuid::Uuid;

use crate::{Floor, Machine};

struct ByHand {
    address: String,
    topic: String,
    producer: FutureProducer,
}

pub(crate) fn run(machine: &Machine, address: &str) {
    let (ours, theirs) = (topic(), topic());
    let open = async |topic: &str| {
        let options = KafkaOptions::new(topic).create(4, 1).session_timeout(Duration::from_secs(2));
        KafkaBus::connect(address, options).await.expect("the broker works")
    };
    let (bus, _made) = machine.runtime.block_on(async { (open(&ours).await, open(&theirs).await) });
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("enable.idempotence", "true").set("acks", "all");
    let producer = config.set("linger.ms", "1").create().expect("a producer");
    crate::compare("Kafka", machine, &bus, &ByHand { address: address.to_owned(), topic: theirs, producer });
}

fn topic() -> String {
    format!("bench-{}", Uuid::now_v7().simple())
}

impl Floor for ByHand {
    const CONSUMED: u64 = 100_000;
    const KEEPS: bool = true;

    /// A group begins with the first message that the topic has.
    async fn prepare(&self, _: &str) {}

    async fn publish(&self, messages: &[Message], tracer: Option<&SdkTracer>) {
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let mut headers = OwnedHeaders::new_with_capacity(8);
            message.write_headers(&mut |name, value| {
                headers = std::mem::take(&mut headers).insert(Header { key: name, value: Some(value) });
            });
            let key = message.stream().expect("it has one").as_str();
            let sending = tracer.map(|tracer| self.span(tracer, ("send", SpanKind::Producer), key));
            if let Some(span) = &sending {
                let parent = crate::traceparent(span.span_context());
                headers = headers.insert(Header { key: "traceparent", value: Some(&parent) });
            }
            let mut record =
                FutureRecord::<str, [u8]>::to(&self.topic).key(key).payload(message.payload()).headers(headers);
            let confirmation = loop {
                match self.producer.send_result(record) {
                    Ok(confirmation) => break confirmation,
                    Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                        record = back;
                    }
                    Err((error, _)) => panic!("{error}"),
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            confirmations.push((confirmation, sending));
        }
        for (confirmation, sending) in confirmations {
            let place = confirmation.await.expect("the producer lives").expect("the broker works");
            if let Some(mut span) = sending {
                span.set_attributes(at(place.partition, place.offset));
                span.end();
            }
        }
    }

    /// Nothing is kept for a group.
    async fn forget(&self, _: &str) {}

    async fn consume(&self, group: &str, tracer: Option<&SdkTracer>) -> Duration {
        let consumer = self.consumer(group);
        consumer.subscribe(&[&self.topic]).expect("a topic");
        let mut begun = None;
        for _ in 0..Self::CONSUMED {
            let message = consumer.recv().await.expect("the broker works");
            begun.get_or_insert_with(Instant::now);
            let owned = message.detach();
            let mut span = tracer.map(|tracer| {
                let key = String::from_utf8_lossy(owned.key().unwrap_or_default());
                let mut span = self.span(tracer, ("process", SpanKind::Consumer), &key);
                span.set_attribute(KeyValue::new("messaging.consumer.group.name", group.to_owned()));
                span.set_attributes(at(owned.partition(), owned.offset()));
                span
            });
            drop(std::hint::black_box(owned));
            if let Some(span) = &mut span {
                span.end();
            }
            consumer.store_offset_from_message(&message).expect("the partition is ours");
        }
        let elapsed = begun.expect("it has begun").elapsed();
        consumer.commit_consumer_state(CommitMode::Sync).expect("the broker works");
        elapsed
    }
}

fn at(partition: i32, offset: i64) -> [KeyValue; 2] {
    [
        KeyValue::new("messaging.destination.partition.id", partition.to_string()),
        KeyValue::new("messaging.kafka.offset", offset),
    ]
}

impl ByHand {
    fn span(&self, tracer: &SdkTracer, (operation, kind): (&'static str, SpanKind), key: &str) -> SdkSpan {
        let key = KeyValue::new("messaging.kafka.message.key", key.to_owned());
        crate::span(tracer, ("kafka", operation, kind), &self.topic, [key])
    }

    fn consumer(&self, group: &str) -> StreamConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", group);
        config.set("enable.auto.offset.store", "false").set("auto.offset.reset", "earliest");
        config.set("session.timeout.ms", "2000").set("heartbeat.interval.ms", "300").create().expect("a consumer")
    }
}
