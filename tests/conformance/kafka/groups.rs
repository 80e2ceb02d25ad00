//! Members of a group that hang or are refused, and what the gauge tells of one without room, on a broker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{BusError, EventBus, HandlerError, KafkaBus, KafkaOptions, Message, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::services;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::{collecting, in_time, message, open, options, ordinal};
use crate::lags::wait_for_lag;
use crate::messages::collecting_as;

/// A stream in each of some partitions.
pub(super) fn streams(count: usize) -> Vec<StreamId> {
    (0..count).map(|_| StreamId::new("Order", uuid::Uuid::now_v7())).collect()
}

/// A handler that hangs keeps its own partition, and not the group from sharing the others.
#[test]
fn a_member_without_room_does_not_hold_up_its_group() {
    testing::run(async {
        let bus = open(options(2)).await;
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (sender, mut reports) = mpsc::unbounded_channel();
        let shared = (Arc::clone(&begun), Arc::clone(&gate), sender);
        let handler = move |received: Received| {
            let (begun, gate, sender) = shared.clone();
            async move {
                begun.notify_one();
                drop(gate.acquire().await?);
                sender.send(received)?;
                Ok::<_, HandlerError>(())
            }
        };
        let stuck = bus.subscribe("one").prefetch(1).handle(handler).await.unwrap();
        let streams = streams(16);
        bus.publish_all(streams.iter().map(|stream| message(stream, 0))).await.unwrap();
        in_time(begun.notified()).await;
        let (running, mut seen) = collecting(&bus).await;
        // It gets a partition, and with it messages that nobody has begun with.
        in_time(seen.recv()).await.unwrap();
        gate.add_permits(streams.len());
        running.shutdown().await.unwrap();
        // What it gave away without room comes back to it with room.
        bus.publish_all(streams.iter().map(|stream| message(stream, 1))).await.unwrap();
        let mut again = HashSet::new();
        while again.len() < streams.len() {
            let received = in_time(reports.recv()).await.unwrap();
            if ordinal(&received) == 1 {
                again.insert(received.stream().cloned());
            }
        }
        stuck.shutdown().await.unwrap();
    });
}

/// For ten seconds a partition is kept from the member that it goes to; then that one begins with what is under way
/// here.
#[test]
fn a_handler_that_hangs_does_not_keep_its_partitions() {
    testing::run(async {
        let (log, bus) = (Log::of_process(), open(options(2)).await);
        let (sender, mut begun) = mpsc::unbounded_channel();
        let handler = move |received: Received| {
            let sent = sender.send(received.stream().cloned());
            async move {
                sent?;
                std::future::pending::<Result<(), HandlerError>>().await
            }
        };
        let stuck = bus.subscribe("hanging").lanes(16).handle(handler).await.unwrap();
        let streams = streams(16);
        let published = bus.inner().publish(streams.iter().map(|stream| message(stream, 0)).collect()).await;
        let partitions = published.into_iter().map(|published| published.unwrap().place.unwrap().partition);
        let of: HashMap<_, _> = streams.into_iter().zip(partitions).collect();
        let mut busy = HashSet::new();
        while busy.len() < 2 {
            busy.insert(of[&in_time(begun.recv()).await.unwrap().unwrap()]);
        }
        let (running, mut seen) = collecting_as(&bus, "hanging").await;
        in_time(seen.recv()).await.unwrap();
        let name = "eventsource.bus.kafka.handed_over_busy";
        in_time(log.hears_of(name, "messaging.consumer.group.name", "hanging")).await;
        running.shutdown().await.unwrap();
        stuck.shutdown_within(Duration::ZERO).await.unwrap_err();
    });
}

/// What is passed over unseen is done with, and what came before it is not.
#[test]
fn a_message_that_is_under_way_is_not_passed_by_later_ones() {
    testing::run(async {
        let bus = open(options(1)).await;
        let begun = Arc::new(Notify::new());
        let tell = Arc::clone(&begun);
        let stuck = move |_: Received| {
            tell.notify_one();
            std::future::pending::<Result<(), HandlerError>>()
        };
        let running = bus.subscribe("one").event_types(["OrderPlaced"]).handle(stuck).await.unwrap();
        let stream = StreamId::new("Order", 1);
        bus.publish(message(&stream, 7)).await.unwrap();
        in_time(begun.notified()).await;
        let others = (0..50).map(|_| Message::new(StreamId::new("Order", 2), "OrderViewed", "{}"));
        bus.publish_all(others).await.unwrap();
        // When the lag stands still at all of them, the last ones were passed over.
        wait_for_lag(&bus, Some(51)).await;
        running.shutdown_within(Duration::ZERO).await.unwrap_err();
        let (running, mut seen) = collecting(&bus).await;
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
    });
}

/// A client that asks brokers for no messages hears nothing of what comes.
#[test]
fn the_gauge_tells_what_comes_while_there_is_no_room() {
    testing::run(async {
        let bus = open(options(1)).await;
        let stuck = |_: Received| std::future::pending::<Result<(), HandlerError>>();
        let running = bus.subscribe("one").prefetch(1).handle(stuck).await.unwrap();
        // It asks for none from the second or third one on.
        for count in 1..=4 {
            bus.publish(message(&StreamId::new("Order", 1), 0)).await.unwrap();
            wait_for_lag(&bus, Some(count)).await;
        }
        running.shutdown_within(Duration::ZERO).await.unwrap_err();
    });
}

#[test]
fn a_group_whose_dead_letters_have_no_topic_is_refused() {
    testing::run(async {
        let made = open(options(1)).await;
        let topic = made.inner().info().destination;
        let bus = KafkaBus::connect(&services::kafka(), KafkaOptions::new(&*topic)).await.unwrap();
        // Where the broker does not say in time what there is, nothing is known to be missing.
        let refused = in_time(async {
            loop {
                match bus.subscribe("one").handle(async |_: Received| Ok(())).await {
                    Ok(running) => drop(running.shutdown().await.unwrap()),
                    Err(refused) => return refused,
                }
            }
        })
        .await;
        assert!(refused.to_string().contains(&format!("`{topic}.one.dead`")), "{refused}");
        // Somebody makes it.
        made.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap().shutdown().await.unwrap();
        bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap().shutdown().await.unwrap();
    });
}

#[test]
fn a_group_whose_name_no_topic_can_have_is_refused() {
    testing::run(async {
        let bus = open(options(1)).await;
        for name in ["the one", "the.one"] {
            let refused = bus.subscribe(name).handle(async |_: Received| Ok(())).await.unwrap_err();
            assert!(matches!(refused, BusError::Configuration(_)), "{refused:?}");
        }
    });
}
