//! What messages hold is for their handlers alone: on every bus nothing of it is in spans, metrics, logs or `Debug`.

use std::fmt;
use std::time::Duration;

use eventsource_runtime::bus::{
    EventBus, HandlerError, InProcessBus, KafkaBus, KafkaOptions, Message, PublishError, RabbitMqBus, RabbitMqOptions,
    Received, Traced,
};
use eventsource_runtime::store::StreamId;
use eventsource_tests::logged::listen;
use eventsource_tests::own_bus::remote;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use uuid::Uuid;

use super::spans::until_settled;
use crate::leaks::{Logs, Shown, assert_no_leak, on_one_thread, secret};

fn message() -> Message {
    let secrets = secret("payload");
    Message::new(StreamId::new("Order", 42), "OrderPlaced", secrets).with_header("token", secret("header"))
}

/// A message is published, fails, is retried, becomes a dead letter, and is tried again.
async fn story<B: EventBus + fmt::Debug>(bus: Traced<B>) {
    let (metrics, logs, mut shown) = (InMemoryMetricExporter::default(), Logs::default(), Shown::default());
    let subscriber = listen(logs.clone());
    let recorder = Recorder::with(|builder| builder.metric_exporter(metrics.clone()));
    let handler = |received: Received| async move {
        assert_eq!(received.headers().text("token"), Some(secret("header").as_str()));
        Err::<(), _>(HandlerError::new(secret("failure")))
    };
    recorder
        .run(async {
            let subscription = bus.subscribe("inventory").max_retries(1);
            shown.debug(&subscription);
            let running = subscription.handle(handler).await.unwrap();
            shown.debug(&running);
            let malformed = Message::read([("traceparent", secret("context").as_bytes())], secret("foreign").into());
            for message in [message(), malformed.with_header("token", secret("header"))] {
                shown.debug(&message);
                shown.debug(message.headers());
                shown.debug(&bus.publish(message).await.unwrap());
            }
            until_settled(&running, 2).await;
            running.shutdown().await.unwrap();
            let replay = bus.retry_dead_letters("inventory").handle(async |_: Received| Ok(())).await.unwrap();
            shown.debug(&replay.finished().await.unwrap());
        })
        .await;
    shown.debug(&bus);
    recorder.flush().await;
    drop(subscriber);
    let (spans, logs) = assert_no_leak(&recorder, &metrics, &logs, &shown);
    assert!(spans.contains("dead_letter") && logs.contains("dead-lettered"), "{logs}");
}

#[tokio::test]
async fn within_the_process() {
    story(InProcessBus::new()).await;
}

#[tokio::test]
async fn on_a_strangers_bus() {
    story(remote()).await;
}

#[test]
fn on_kafka() {
    on_one_thread(services::kafka, |address: String| async move {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let options = KafkaOptions::new(&name).create(1, 1).session_timeout(Duration::from_secs(10));
        story(KafkaBus::connect(&address, options.clone()).await.unwrap()).await;
        let mut shown = Shown::default();
        let options = options.set("sasl.password", secret("password")).set("no.such.setting", secret("setting"));
        shown.debug(&options);
        shown.error(&KafkaBus::connect(&address, options).await.unwrap_err());
        assert!(shown.0.contains("no.such.setting") && !shown.0.contains("canary"), "{}", shown.0);
    });
}

#[test]
fn on_rabbitmq() {
    on_one_thread(services::rabbitmq, |address: String| async move {
        let options = RabbitMqOptions::new(format!("eventsource-tests-{}", Uuid::now_v7()));
        story(RabbitMqBus::connect(&address, options.clone()).await.unwrap()).await;
        let mut shown = Shown::default();
        let address = address.replacen("guest:guest", &format!("guest:{}", secret("password")), 1);
        shown.error(&RabbitMqBus::connect(&address, options).await.unwrap_err());
        assert!(!shown.0.contains("canary"), "{}", shown.0);
    });
}

/// What a publisher is told of a message that cannot be published says where it should have gone, and nothing of it.
#[test]
fn a_refusal_says_nothing_of_the_message() {
    on_one_thread(services::kafka, |address: String| async move {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let options = KafkaOptions::new(&name).create(1, 1).max_message_bytes(1000);
        let bus = KafkaBus::connect(&address, options).await.unwrap();
        let long = message().with_header("more", secret("header").repeat(1000));
        let refused = bus.publish(long).await.unwrap_err();
        assert!(matches!(refused, PublishError::TooLarge { .. }), "{refused:?}");
        let mut shown = Shown::default();
        shown.error(&refused);
        assert!(!shown.0.contains("canary"), "{}", shown.0);
    });
}
