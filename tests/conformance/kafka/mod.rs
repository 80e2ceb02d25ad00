//! The bus on Kafka, and what only brokers can show.

mod callers;
mod faults;
mod groups;
mod members;
mod produce;
#[cfg(feature = "kafka-tls")]
mod tls;

use std::time::Duration;

use eventsource_runtime::bus::{KafkaBus, KafkaOptions};
use eventsource_runtime::event_bus_suite;
use eventsource_tests::services;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use uuid::Uuid;

use crate::messages::{collecting, in_time, message, ordinal};

event_bus_suite!(one_partition, || async { open(options(1)).await });
event_bus_suite!(several_partitions, || async { open(options(5)).await });

/// After so much silence a member is taken for gone, and what it had comes again as if for the first time: a busy
/// machine may not be silent for as long. Longer than the cluster that fails as it is told lets the first member wait,
/// which is 3 seconds; and no longer than needed, since members learn of each other after a sixth of it.
pub(super) const SESSION: Duration = Duration::from_secs(5);

/// A bus on a topic that no other test has.
pub(super) fn options(partitions: u16) -> KafkaOptions {
    KafkaOptions::new(format!("eventsource-tests-{}", Uuid::now_v7())).create(partitions, 1).session_timeout(SESSION)
}

pub(super) async fn open(options: KafkaOptions) -> KafkaBus {
    KafkaBus::connect(&services::kafka(), options).await.unwrap()
}

/// A bus on the brokers that librdkafka plays, which are there while the cluster is.
pub(super) async fn played(partitions: i32) -> (MockCluster<'static, DefaultProducerContext>, KafkaBus) {
    let cluster = MockCluster::new(1).unwrap();
    for (topic, partitions) in [("orders", partitions), ("orders.one.dead", 1)] {
        cluster.create_topic(topic, partitions, 1).unwrap();
    }
    let options = KafkaOptions::new("orders").session_timeout(SESSION);
    let bus = KafkaBus::connect(&cluster.bootstrap_servers(), options).await.unwrap();
    (cluster, bus)
}
