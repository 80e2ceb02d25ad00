//! Names and messages that the protocol has no room for, or that the broker does not take.

use eventsource_runtime::bus::{BusError, EventBus, HandlerError, Message, PublishError, RabbitMqBus, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::services;

use super::{open, options};
use crate::messages::{collecting, in_time, message, ordinal};

#[test]
fn a_name_that_the_protocol_has_no_room_for_is_refused_before_anything_is_sent() {
    testing::run(async {
        let bus = open(options()).await;
        let long = Message::new(StreamId::new("Order", 1), "E".repeat(300), "{}");
        let refused = bus.publish(long).await.unwrap_err();
        assert!(matches!(refused, PublishError::Invalid { part: "the routing key", .. }), "{refused:?}");
        let Err(refused) =
            bus.subscribe("g".repeat(250)).handle(|_: Received| async move { Ok::<_, HandlerError>(()) }).await
        else {
            panic!("the protocol has no room for the group")
        };
        assert!(matches!(refused, BusError::Configuration(_)), "{refused:?}");
    });
}

/// The broker ends a connection over a frame that is longer than was agreed upon, and a publisher tried for ever.
#[test]
fn headers_are_held_against_the_frame_that_was_agreed_upon() {
    testing::run(async {
        let url = format!("{}/%2f?frame_max=16384", services::rabbitmq().trim_end_matches('/'));
        let bus = RabbitMqBus::connect(&url, options()).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        let stream = StreamId::new("Order", 1);
        let refused = bus.publish(message(&stream, 1).with_header("large", "x".repeat(17_000))).await.unwrap_err();
        assert!(matches!(refused, PublishError::TooLarge { .. }), "{refused:?}");
        bus.publish(message(&stream, 2).with_header("large", "x".repeat(14_000))).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 2);
        running.shutdown().await.unwrap();
    });
}

/// The broker closes the channel over it, and so a publisher tried for ever, and others with it.
#[test]
fn a_payload_that_the_broker_does_not_take_is_refused_and_holds_up_no_other() {
    testing::run(async {
        let bus = open(options()).await;
        let (running, mut seen) = collecting(&bus).await;
        // The most that a broker takes unless it is told otherwise: 128 MiB, and 16 since version 4.
        let long = Message::new(StreamId::new("Order", 1), "OrderPlaced", vec![b'0'; (128 << 20) + 1]);
        let outcomes = in_time(bus.inner().publish(vec![long, message(&StreamId::new("Order", 2), 7)])).await;
        assert!(matches!(outcomes[0], Err(PublishError::TooLarge { .. })), "{:?}", outcomes[0]);
        assert!(outcomes[1].is_ok(), "{:?}", outcomes[1]);
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        assert!(bus.inner().health().is_some_and(|health| health.is_connected()), "a channel alone was closed");
        running.shutdown().await.unwrap();
    });
}

/// The broker closes the channel over a text where it expects a list of keys: a publisher tried for ever, and others
/// with it.
#[test]
fn a_header_that_the_broker_would_act_on_is_refused_and_holds_up_no_other() {
    testing::run(async {
        let bus = open(options()).await;
        let (running, mut seen) = collecting(&bus).await;
        for (number, name) in ["CC", "BCC"].into_iter().enumerate() {
            let copied = message(&StreamId::new("Order", 1), 99).with_header(name, "accounting");
            let messages = vec![copied, message(&StreamId::new("Order", 2), number)];
            let outcomes = in_time(bus.inner().publish(messages)).await;
            let problem = "the broker would act on it";
            let is_refused = matches!(&outcomes[0], Err(PublishError::Invalid { problem: is, .. }) if *is == problem);
            assert!(is_refused, "{:?}", outcomes[0]);
            assert!(outcomes[1].is_ok(), "{:?}", outcomes[1]);
        }
        for number in 0..2 {
            assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), number);
        }
        assert_eq!(running.shutdown().await.unwrap().acknowledged, 2, "each once");
    });
}
