//! Messages that no queue takes, among others that one does.

use eventsource_runtime::bus::{EventBus, Message, PublishError, RabbitMqBus, RabbitMqOptions};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use uuid::Uuid;

use super::faults::operator;
use super::open;
use crate::messages::in_time;

const ROUNDS: usize = 100;

/// A bus on which a queue takes the messages of orders, and none takes those of payments.
async fn for_orders() -> RabbitMqBus {
    let name = format!("eventsource-tests-{}", Uuid::now_v7());
    let bus = open(RabbitMqOptions::new(&name)).await;
    let channel = operator().await;
    let queue = format!("{name}.orders");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), durable, FieldTable::default()).await.unwrap();
    let binding = QueueBindOptions::default();
    channel.queue_bind(queue.into(), name.into(), "Order.#".into(), binding, FieldTable::default()).await.unwrap();
    bus
}

/// 64 messages of streams of their own.
fn interleaved() -> Vec<Message> {
    let kind = |number: u32| if number.is_multiple_of(2) { "Order" } else { "Payment" };
    let message = |number| Message::new(StreamId::new(kind(number), number), "Placed", "{}");
    (0..64).map(message).collect()
}

/// The broker acknowledges several at once: another one was told to have come back, and this one was a success.
#[test]
fn a_message_that_no_queue_takes_is_not_taken_for_another_one() {
    testing::run(async {
        let bus = for_orders().await;
        for _ in 0..ROUNDS {
            let messages = interleaved();
            let outcomes = in_time(bus.inner().publish(messages.clone())).await;
            for (message, outcome) in messages.iter().zip(outcomes) {
                let is_of_order = message.stream().unwrap().aggregate_type() == "Order";
                match outcome {
                    Ok(_) => assert!(is_of_order, "no queue takes it"),
                    Err(PublishError::Unroutable { .. }) => assert!(!is_of_order, "a queue takes it"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
}

/// Those that nobody waits for any more come back all the same.
#[test]
fn a_publication_that_was_dropped_is_no_trouble_to_others() {
    testing::run(async {
        let bus = for_orders().await;
        let mut pending = 0;
        for _ in 0..ROUNDS {
            let mut dropped = Box::pin(bus.inner().publish(interleaved()));
            // It may be done at once, as what publishes it runs elsewhere.
            pending += usize::from(futures_util::poll!(&mut dropped).is_pending());
            drop(dropped);
            let order = Message::new(StreamId::new("Order", 1), "Placed", "{}");
            in_time(bus.publish(order)).await.unwrap();
        }
        assert!(pending > 0, "none was dropped");
    });
}
