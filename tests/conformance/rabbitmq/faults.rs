//! What becomes of messages when the broker, or the connection to it, is in trouble.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{
    BusError, EventBus, HandlerError, PublishError, RabbitMqBus, RabbitMqOptions, Received, Subscription, Tally,
};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::alone::run_alone;
use eventsource_tests::logged::Log;
use eventsource_tests::network::Network;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::trace::Link;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::{open, options};
use crate::messages::{collecting, in_time, message, ordinal, until};

#[test]
fn what_nobody_subscribes_to_is_no_success() {
    testing::run(async {
        let bus = open(options()).await;
        let refused = bus.publish(message(&StreamId::new("Order", 1), 1)).await.unwrap_err();
        assert!(matches!(refused, PublishError::Unroutable { .. }), "{refused:?}");
    });
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    testing::run(async {
        let url = services::rabbitmq().replacen("guest:guest", "guest:sesame", 1);
        let Err(error) = RabbitMqBus::connect(&url, options()).await else { panic!("the broker lets everybody in") };
        assert!(matches!(error, BusError::Backend { .. }));
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
        let bus = open(options()).await;
        assert!(!format!("{bus:?}").contains("guest"), "{bus:?}");
    });
}

/// Connections are cut while messages are under way in both directions: each message is handled, those of a stream are
/// first seen in order, and none was reported as published that was not.
#[test]
fn connections_that_are_cut_lose_nothing() {
    let cuts = services::repeats("EVENTSOURCE_TESTS_CUTS", 5);
    run_alone("rabbitmq::faults::connections_that_are_cut_lose_nothing", async {
        let log = Log::of_process();
        let (network, url) = Network::before(&services::rabbitmq()).await;
        let bus = RabbitMqBus::connect(&url, options().delivery_limit(1000)).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        let streams: Vec<_> = (0..4).map(|_| StreamId::new("Order", Uuid::now_v7())).collect();
        let publisher = tokio::spawn({
            let (bus, streams) = (bus.clone(), streams.clone());
            async move {
                for round in 0..cuts * 20 {
                    for result in
                        bus.inner().publish(streams.iter().map(|stream| message(stream, round)).collect()).await
                    {
                        result.unwrap();
                    }
                    if round % 20 == 10 {
                        network.cut();
                    }
                }
                network
            }
        });
        let mut missing: BTreeSet<_> =
            (0..cuts * 20).flat_map(|round| [0, 1, 2, 3].map(|stream| (stream, round))).collect();
        let mut next = [0; 4];
        while !missing.is_empty() {
            let received = in_time(seen.recv()).await.unwrap();
            let stream = streams.iter().position(|stream| Some(stream) == received.stream()).unwrap();
            let ordinal = ordinal(&received);
            if missing.remove(&(stream, ordinal)) {
                assert_eq!(ordinal, next[stream], "first seen in order");
                next[stream] += 1;
            }
        }
        drop(publisher.await.unwrap());
        running.shutdown().await.unwrap();
        in_time(log.hears("eventsource.bus.rabbitmq.connected")).await;
        in_time(log.hears("eventsource.bus.rabbitmq.disconnected")).await;
    });
}

/// Nobody gave the connection up who waited for a shorter time than a confirmation may take.
#[test]
fn a_connection_that_confirms_nothing_is_given_up_though_nobody_waits_for_that() {
    testing::run(async {
        let options = options().publish_timeout(Duration::from_secs(1));
        let (running, _seen) = collecting(&open(options.clone()).await).await;
        let (network, url) = Network::before(&services::rabbitmq()).await;
        let bus = RabbitMqBus::connect(&format!("{url}?heartbeat=60"), options).await.unwrap();
        let stream = StreamId::new("Order", 1);
        // Of a queue that was just declared a busy broker may confirm the first ones too late.
        until(async || bus.publish(message(&stream, 0)).await.is_ok()).await;
        network.fall_silent();
        let late = bus.publish(message(&stream, 1)).await.unwrap_err();
        assert!(matches!(late, PublishError::TimedOut { .. }), "{late:?}");
        // A confirmation may take ten seconds; the broker would be missed by its heartbeats after two minutes.
        let published = async { while bus.publish(message(&stream, 2)).await.is_err() {} };
        tokio::time::timeout(Duration::from_mins(1), published).await.expect("it goes over another connection");
        running.shutdown().await.unwrap();
    });
}

/// A queue that an operator deletes is made again; what was in it is gone, what comes after it is not.
#[test]
fn a_deleted_queue_is_made_again() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name)).await;
        let (running, mut seen) = collecting(&bus).await;
        delete_queue(&format!("{name}.one")).await;
        goes_on(&bus, &mut seen).await;
        running.shutdown().await.unwrap();
    });
}

/// Publishes a message once the member has made its queue again: until then nobody takes it.
pub(super) async fn goes_on(bus: &RabbitMqBus, seen: &mut mpsc::UnboundedReceiver<Received>) {
    until(async || bus.publish(message(&StreamId::new("Order", 1), 7)).await.is_ok()).await;
    assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
}

/// As an operator would, through a connection of his own.
pub(crate) async fn operator() -> lapin::Channel {
    let url = services::rabbitmq();
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default());
    in_time(async { connection.await.unwrap().create_channel().await.unwrap() }).await
}

pub(super) async fn delete_queue(queue: &str) {
    operator().await.queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
}

/// Declares a quorum queue, or finds that it is there with these arguments.
pub(super) async fn declare_queue(queue: &str, delivery_limit: Option<i64>) -> lapin::Result<lapin::Queue> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    if let Some(limit) = delivery_limit {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    }
    let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    operator().await.queue_declare(queue.into(), options, arguments).await
}

/// The queue is there with these arguments, and has one message. A broker that is busy may say at first that it has
/// none.
pub(super) async fn has_one_message(queue: &str, delivery_limit: Option<i64>) {
    until(async || declare_queue(queue, delivery_limit).await.unwrap().message_count() == 1).await;
}

/// Publishes a message that fails, and waits until it is among the dead letters.
async fn keeps_a_dead_letter(bus: &RabbitMqBus, before: impl AsyncFnOnce()) {
    let failing = async |_: Received| Err(HandlerError::new("as it was told to").permanent());
    let running = bus.subscribe("one").handle(failing).await.unwrap();
    before().await;
    bus.publish(message(&StreamId::new("Order", 1), 1)).await.unwrap();
    until(async || running.tally().dead_lettered > 0).await;
    running.shutdown().await.unwrap();
}

/// It was told as one of the messages.
#[test]
fn a_dead_letter_that_is_tried_again_tells_through_which_exchange_it_came() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name)).await;
        keeps_a_dead_letter(&bus, async || ()).await;
        let recorder = Recorder::new();
        let replay = async {
            let again = bus.retry_dead_letters("one").handle(async |_: Received| Ok(())).await.unwrap();
            in_time(again.finished()).await.unwrap();
        };
        recorder.run(Box::pin(replay)).await;
        let names: Vec<_> = recorder.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, [format!("process {name}.dead:{name}.one:{name}.one.dead")]);
    });
}

/// A foreign message may have headers for which a dead letter's own leave no room: it was acknowledged, and gone.
#[test]
fn a_message_that_cannot_be_written_as_a_dead_letter_is_moved_there_by_the_broker() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name)).await;
        let failing = bus.subscribe("one").handle(async |_: Received| Err(HandlerError::new("no").permanent()));
        let running = failing.await.unwrap();
        let mut headers = FieldTable::default();
        headers.insert("large".into(), AMQPValue::LongString("x".repeat(127_000).into()));
        let properties = lapin::BasicProperties::default().with_headers(headers);
        let published = operator().await;
        let options = lapin::options::BasicPublishOptions::default();
        published.basic_publish(name.as_str().into(), "foreign".into(), options, b"{}", properties).await.unwrap();
        until_left(&running, 1).await;
        running.shutdown().await.unwrap();
        for _ in 0..2 {
            // The broker moves it when it comes to that: a replay that begins before has nothing to do.
            let tally = in_time(async {
                loop {
                    let refuse = async |_: Received| Err(HandlerError::new("no").permanent());
                    let again = bus.retry_dead_letters("one").handle(refuse).await.unwrap();
                    let tally = again.finished().await.unwrap();
                    if tally != Tally::default() {
                        return tally;
                    }
                }
            })
            .await;
            assert_eq!((tally.unkeepable, tally.dead_lettered), (1, 0), "it stays a dead letter");
        }
        let seen = Arc::new(Notify::new());
        let tell = Arc::clone(&seen);
        let again = bus.retry_dead_letters("one").handle(move |received: Received| {
            assert_eq!(received.headers().get("large").unwrap().len(), 127_000);
            tell.notify_one();
            async { Ok::<_, HandlerError>(()) }
        });
        assert_eq!(in_time(again.await.unwrap().finished()).await.unwrap().acknowledged, 1);
        in_time(seen.notified()).await;
    });
}

async fn until_left(running: &Subscription, left: u64) {
    until(async || running.tally().unkeepable >= left).await;
}

/// `RabbitMQ` 4 drops what it has delivered twenty times from a queue that says nothing of it and has no dead letters
/// of its own.
#[test]
fn the_queue_of_dead_letters_says_how_often_they_are_delivered() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        keeps_a_dead_letter(&open(RabbitMqOptions::new(&name)).await, async || ()).await;
        has_one_message(&format!("{name}.one.dead"), Some(u32::MAX.into())).await;
    });
}

#[test]
fn a_queue_of_dead_letters_that_is_there_without_a_limit_is_taken_as_it_is() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let dead = format!("{name}.one.dead");
        declare_queue(&dead, None).await.unwrap();
        keeps_a_dead_letter(&open(RabbitMqOptions::new(&name)).await, async || ()).await;
        has_one_message(&dead, None).await;
    });
}

/// The lane tried for ever to keep a dead letter where nothing took it.
#[test]
fn a_deleted_queue_of_dead_letters_is_made_again() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let dead = format!("{name}.one.dead");
        keeps_a_dead_letter(&open(RabbitMqOptions::new(&name)).await, async || delete_queue(&dead).await).await;
        has_one_message(&dead, Some(u32::MAX.into())).await;
    });
}

/// A member that has begun with a message when it is aborted.
pub(super) async fn abort_a_member(bus: &RabbitMqBus, before: impl AsyncFnOnce()) {
    let begun = Arc::new(Notify::new());
    let tell = Arc::clone(&begun);
    let stuck = move |_: Received| {
        tell.notify_one();
        std::future::pending::<Result<(), HandlerError>>()
    };
    let running = bus.subscribe("one").handle(stuck).await.unwrap();
    before().await;
    in_time(begun.notified()).await;
    running.shutdown_within(Duration::ZERO).await.unwrap_err();
}

/// The broker tells that it has delivered a message before: of all deliveries the first alone continues its trace.
#[test]
fn a_message_that_comes_again_and_again_makes_no_growing_trace() {
    let deliveries = services::repeats("EVENTSOURCE_TESTS_DELIVERIES", 50);
    testing::run(async {
        let recorder = Recorder::new();
        let work = async {
            let bus = open(options().delivery_limit(u32::MAX)).await;
            for delivery in 0..deliveries {
                abort_a_member(&bus, async || {
                    if delivery == 0 {
                        bus.publish(message(&StreamId::new("Order", 1), 1)).await.unwrap();
                    }
                })
                .await;
            }
            until(async || recorder.open_spans() == 0).await;
        };
        recorder.run(Box::pin(work)).await;
        let spans = recorder.spans();
        let (sent, processed): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.name.starts_with("send "));
        assert_eq!((sent.len(), processed.len()), (1, deliveries));
        let sent = &sent[0].span_context;
        let inside = processed.iter().filter(|span| span.span_context.trace_id() == sent.trace_id()).count();
        assert_eq!(inside, 1, "the first delivery alone");
        let is_sent = |link: &Link| link.span_context.span_id() == sent.span_id();
        let is_linked = |span: &SpanData| span.links.links.iter().any(is_sent);
        assert!(processed.into_iter().all(is_linked));
        println!("{deliveries} deliveries, in the trace of the first: {inside}");
    });
}

/// A member that has lost its connection leaves the stream to the one that took over, though it has more of it in hand.
#[test]
fn a_member_that_was_cut_off_does_not_go_on_with_what_another_one_handles() {
    testing::run(async {
        let options = options();
        let (network, url) = Network::before(&services::rabbitmq()).await;
        let cut_off = RabbitMqBus::connect(&url, options.clone()).await.unwrap();
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (sender, mut begun_with) = mpsc::unbounded_channel();
        let shared = (Arc::clone(&begun), Arc::clone(&gate));
        let handler = move |received: Received| {
            let (begun, gate) = shared.clone();
            let sent = sender.send(ordinal(&received));
            async move {
                begun.notify_one();
                gate.notified().await;
                Ok::<_, HandlerError>(sent?)
            }
        };
        let stuck = cut_off.subscribe("one").handle(handler).await.unwrap();
        let (bus, stream) = (open(options).await, StreamId::new("Order", 1));
        bus.publish_all((0..5).map(|number| message(&stream, number))).await.unwrap();
        in_time(begun.notified()).await;
        network.cut();
        drop(network);
        let (running, mut seen) = collecting(&bus).await;
        for number in 0..5 {
            assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), number);
        }
        // As often as it may ask for.
        gate.notify_one();
        let ended = tokio::spawn(stuck.shutdown());
        until(async || {
            gate.notify_one();
            ended.is_finished()
        })
        .await;
        ended.await.unwrap().unwrap();
        assert_eq!((begun_with.recv().await, begun_with.recv().await), (Some(0), None));
        running.shutdown().await.unwrap();
    });
}
