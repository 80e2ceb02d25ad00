//! A broker that stops and comes back, or has no memory left.

use std::collections::BTreeSet;
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, PublishError, RabbitMqBus, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::rabbitmq_server::RabbitMqServer;
use eventsource_tests::services;
use uuid::Uuid;

use super::options;
use crate::messages::{collecting, collecting_as, in_time, message, ordinal, until};

/// The broker is stopped while messages are under way in both directions: what was reported as published is handled,
/// those of a stream are first seen in order.
#[test]
fn a_broker_that_is_restarted_loses_nothing() {
    let restarts = services::repeats("EVENTSOURCE_TESTS_RESTARTS", 2);
    testing::run(async {
        let told = Log::of_process();
        let mut server = RabbitMqServer::start();
        let options = options().delivery_limit(1000).publish_timeout(Duration::from_mins(2));
        let bus = RabbitMqBus::connect(&server.address(), options).await.unwrap();
        let (running, mut seen) = collecting_as(&bus, "restarted").await;
        let streams: Vec<_> = (0..4).map(|_| StreamId::new("Order", Uuid::now_v7())).collect();
        let mut next = [0; 4];
        for restart in 0..restarts {
            let from = restart * 30;
            let publisher = tokio::spawn({
                let (bus, streams) = (bus.clone(), streams.clone());
                async move {
                    for round in from..from + 30 {
                        for result in
                            bus.inner().publish(streams.iter().map(|stream| message(stream, round)).collect()).await
                        {
                            result.unwrap();
                        }
                    }
                }
            });
            let mut missing: BTreeSet<_> =
                (from..from + 30).flat_map(|round| [0, 1, 2, 3].map(|stream| (stream, round))).collect();
            let mut is_up = true;
            while !missing.is_empty() {
                let received = in_time(seen.recv()).await.unwrap();
                let stream = streams.iter().position(|stream| Some(stream) == received.stream()).unwrap();
                let ordinal = ordinal(&received);
                if missing.remove(&(stream, ordinal)) {
                    assert_eq!(ordinal, next[stream], "first seen in order");
                    next[stream] += 1;
                }
                if is_up && ordinal >= from + 10 {
                    is_up = false;
                    let restarted = tokio::task::spawn_blocking(move || {
                        server.stop();
                        server.begin();
                        server
                    });
                    server = in_time(restarted).await.unwrap();
                }
            }
            in_time(publisher).await.unwrap();
        }
        running.shutdown().await.unwrap();
        println!("{restarts} restarts, {} messages, lost 0", restarts * 120);
        let waits = told.hears_of("eventsource.bus.rabbitmq.waits", "messaging.consumer.group.name", "restarted");
        in_time(waits).await;
    });
}

/// A bus that only hands out, and one that does nothing: the connection for what they might publish was made again by a
/// publication alone, and the gauge stood at nothing until then.
#[test]
fn a_bus_that_publishes_nothing_is_connected_again() {
    testing::run(async {
        let mut server = RabbitMqServer::start();
        let bus = RabbitMqBus::connect(&server.address(), options()).await.unwrap();
        let idle = RabbitMqBus::connect(&server.address(), options()).await.unwrap();
        let (running, _seen) = collecting(&bus).await;
        let stand = [&bus, &idle].map(|bus| bus.inner().health().unwrap());
        let all = async |connected| {
            until(async || stand.iter().all(|health| health.is_connected() == connected)).await;
        };
        all(true).await;
        server.stop();
        all(false).await;
        server.begin();
        all(true).await;
        running.shutdown().await.unwrap();
    });
}

/// A broker without memory takes no messages and still hands out those that it has; when it has memory again, all goes
/// on by itself.
#[test]
fn a_broker_without_memory_holds_up_publishers_alone() {
    testing::run(async {
        let told = Log::of_process();
        let server = RabbitMqServer::start();
        let options = options();
        let patient = RabbitMqBus::connect(&server.address(), options.clone()).await.unwrap();
        let options = options.publish_timeout(Duration::from_secs(1));
        let bus = RabbitMqBus::connect(&server.address(), options).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        let stream = StreamId::new("Order", 1);
        // It may take a broker that has just started longer than that.
        patient.publish(message(&stream, 0)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 0);
        server.allow_memory("0.000001");
        // The first one may be taken before the broker notices.
        let late = in_time(async {
            loop {
                if let Err(error) = bus.publish(message(&stream, 1)).await {
                    break error;
                }
            }
        })
        .await;
        assert!(matches!(late, PublishError::TimedOut { .. }), "{late:?}");
        in_time(told.hears("eventsource.bus.rabbitmq.blocked")).await;
        // One that waits for longer than for one attempt keeps its connection, over which the message goes in the end.
        let long = super::options().publish_timeout(Duration::from_mins(2));
        let patient = RabbitMqBus::connect(&server.address(), long).await.unwrap();
        let (of_patient, mut once) = collecting(&patient).await;
        let publication = tokio::spawn({
            let (patient, stream) = (patient.clone(), stream.clone());
            async move { patient.publish(message(&stream, 7)).await }
        });
        for _ in 0..12 {
            bus.publish(message(&stream, 3)).await.unwrap_err();
        }
        assert!(patient.inner().health().is_some_and(|health| health.is_connected()), "it stands, and is blocked");
        // Members come and go all the same, over a connection that is not held up.
        let other = in_time(bus.subscribe("two").handle(async |_: Received| Ok(()))).await.unwrap();
        in_time(other.shutdown()).await.unwrap();
        server.allow_memory("0.4");
        in_time(async { while bus.publish(message(&stream, 2)).await.is_err() {} }).await;
        let mut numbers = Vec::new();
        while numbers.last() != Some(&2) {
            numbers.push(ordinal(&in_time(seen.recv()).await.unwrap()));
        }
        assert!(!numbers.contains(&3), "it was given up while the broker took nothing");
        in_time(publication).await.unwrap().unwrap();
        patient.publish(message(&stream, 8)).await.unwrap();
        let both = [in_time(once.recv()).await.unwrap(), in_time(once.recv()).await.unwrap()];
        assert_eq!(both.map(|received| ordinal(&received)), [7, 8], "each once");
        assert!(patient.inner().health().is_some_and(|health| health.is_connected()));
        of_patient.shutdown().await.unwrap();
        running.shutdown().await.unwrap();
    });
}
