//! What callers do to each other, of whom some are not polled for a while, or not at all.

use std::pin::pin;

use eventsource_runtime::bus::{EventBus, RabbitMqBus, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::network::Network;
use eventsource_tests::services;
use futures_util::poll;

use super::options;
use crate::messages::{collecting, in_time, message, ordinal, until};

/// Cuts the connections of a bus, calls `meanwhile`, and lets it reconnect.
async fn reconnecting(bus: &RabbitMqBus, network: &Network, meanwhile: impl AsyncFnOnce()) {
    let is_connected = async || bus.inner().health().unwrap().is_connected();
    let held_back = network.hold_back().await;
    network.cut();
    until(async || !is_connected().await).await;
    meanwhile().await;
    drop(held_back);
    until(is_connected).await;
}

/// The first to publish after a lost connection did so for all of them, in a runtime of its own: when that stood still,
/// the broker confirmed nothing to anybody any more.
#[test]
fn a_callers_runtime_that_stands_still_holds_up_nobody() {
    testing::run(async {
        let (network, url) = Network::before(&services::rabbitmq()).await;
        let bus = RabbitMqBus::connect(&url, options()).await.unwrap();
        let (running, _seen) = collecting(&bus).await;
        reconnecting(&bus, &network, async || ()).await;
        let (has_published, published) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel();
        let caller = bus.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { caller.publish(message(&StreamId::new("Order", 1), 0)).await.unwrap() });
            has_published.send(()).unwrap();
            released.recv().unwrap();
        });
        in_time(published).await.unwrap();
        bus.publish(message(&StreamId::new("Order", 1), 1)).await.unwrap();
        release.send(()).unwrap();
        thread.join().unwrap();
        running.shutdown().await.unwrap();
    });
}

/// They held the connections, and the channel of all publications, for as long as nobody polled them.
#[test]
fn a_publication_and_a_subscription_that_nobody_polls_hold_up_no_other() {
    testing::run(async {
        let (network, url) = Network::before(&services::rabbitmq()).await;
        let bus = RabbitMqBus::connect(&url, options()).await.unwrap();
        let stream = StreamId::new("Order", 1);
        let mut publication = pin!(bus.publish(message(&stream, 0)));
        let mut subscription = bus.subscribe("two").handle(async |_: Received| Ok(()));
        reconnecting(&bus, &network, async || {
            assert!(poll!(&mut publication).is_pending());
            assert!(poll!(&mut subscription).is_pending());
        })
        .await;
        let (running, mut seen) = in_time(collecting(&bus)).await;
        bus.publish(message(&stream, 1)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 1);
        in_time(publication).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 0);
        in_time(subscription).await.unwrap().shutdown().await.unwrap();
        running.shutdown().await.unwrap();
    });
}
