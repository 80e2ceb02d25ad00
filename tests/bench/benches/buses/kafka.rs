//! Kafka by hand: an idempotent producer that waits for all replicas, and a consumer that stores each offset.

use std::time::{Duration, Instant};

use eventsource_runtime::bus::{KafkaBus, KafkaOptions, Message};
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
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

    async fn publish(&self, messages: &[Message]) {
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let mut headers = OwnedHeaders::new_with_capacity(8);
            message.write_headers(&mut |name, value| {
                headers = std::mem::take(&mut headers).insert(Header { key: name, value: Some(value) });
            });
            let key = message.stream().expect("it has one").as_str();
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
            confirmations.push(confirmation);
        }
        for confirmation in confirmations {
            confirmation.await.expect("the producer lives").expect("the broker works");
        }
    }

    /// Nothing is kept for a group.
    async fn forget(&self, _: &str) {}

    async fn consume(&self, group: &str) -> Duration {
        let consumer = self.consumer(group);
        consumer.subscribe(&[&self.topic]).expect("a topic");
        let mut begun = None;
        for _ in 0..Self::CONSUMED {
            let message = consumer.recv().await.expect("the broker works");
            begun.get_or_insert_with(Instant::now);
            drop(std::hint::black_box(message.detach()));
            consumer.store_offset_from_message(&message).expect("the partition is ours");
        }
        let elapsed = begun.expect("it has begun").elapsed();
        consumer.commit_consumer_state(CommitMode::Sync).expect("the broker works");
        elapsed
    }
}

impl ByHand {
    fn consumer(&self, group: &str) -> StreamConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", group);
        config.set("enable.auto.offset.store", "false").set("auto.offset.reset", "earliest");
        config.set("session.timeout.ms", "2000").set("heartbeat.interval.ms", "300").create().expect("a consumer")
    }
}
