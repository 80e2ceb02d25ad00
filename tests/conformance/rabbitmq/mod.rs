//! The bus on RabbitMQ, and what only a broker can show.

mod callers;
mod deaf;
mod exchange;
mod faults;
mod foreign;
mod members;
mod queues;
mod refused;
mod restarts;
mod tls;
mod unroutable;

use eventsource_runtime::bus::{RabbitMqBus, RabbitMqOptions};
use eventsource_runtime::event_bus_suite;
use eventsource_tests::services;
use uuid::Uuid;

pub(super) use self::faults::operator;

event_bus_suite!(one_queue, || async { open(options()).await });
event_bus_suite!(several_queues, || async { open(options().queues(5)).await });

/// A bus on an exchange that no other test has.
pub(super) fn options() -> RabbitMqOptions {
    RabbitMqOptions::new(format!("eventsource-tests-{}", Uuid::now_v7()))
}

pub(super) async fn open(options: RabbitMqOptions) -> RabbitMqBus {
    RabbitMqBus::connect(&services::rabbitmq(), options).await.unwrap()
}
