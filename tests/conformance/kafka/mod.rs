//! The bus on Kafka, and what only brokers can show.

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
use uuid::Uuid;

use crate::messages::{collecting, in_time, message, ordinal};

event_bus_suite!(one_partition, || async { open(options(1)).await });
event_bus_suite!(several_partitions, || async { open(options(5)).await });

/// After so much silence a member is taken for gone. No test waits for that, or counts on it: what one had whose machine
/// was busy for as long comes again, as if for the first time. It is longer than the cluster that fails as it is told
/// lets the first member wait, which is 3 seconds.
pub(super) const SESSION: Duration = Duration::from_secs(10);

/// A bus on a topic that no other test has.
pub(super) fn options(partitions: u16) -> KafkaOptions {
    KafkaOptions::new(format!("eventsource-tests-{}", Uuid::now_v7())).create(partitions, 1).session_timeout(SESSION)
}

pub(super) async fn open(options: KafkaOptions) -> KafkaBus {
    KafkaBus::connect(&services::kafka(), options).await.unwrap()
}
