//! A group whose number of queues changes, or whose queue others declare.

use eventsource_runtime::bus::{HandlerError, RabbitMqBus, RabbitMqOptions, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::network::Network;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::faults::{declare_queue, delete_queue, goes_on, operator};
use super::open;
use crate::messages::{collecting, in_time, message, ordinal, until};

const STREAMS: usize = 40;

/// Puts a message behind all others of each queue that the group has with that number of them.
async fn mark_ends(group: &str, queues: u16) {
    let channel = operator().await;
    for queue in 0..queues {
        let queue = if queues == 1 { group.to_owned() } else { format!("{group}.{queue}") };
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish("".into(), queue.into(), options, b"{}", properties).await.unwrap();
    }
}

/// What a member of the group with so many queues gets of messages that are published while it is there, and whatever
/// else is in its queues, in the order of their ordinals.
async fn got_with(name: &str, queues: u16, published: std::ops::Range<usize>) -> Vec<usize> {
    let bus = open(RabbitMqOptions::new(name).queues(queues)).await;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let sent = sender.send(received);
        async move { Ok::<_, HandlerError>(sent?) }
    };
    // One lane keeps the order of each queue.
    let running = bus.subscribe("one").lanes(1).handle(handler).await.unwrap();
    bus.publish_all(published.map(|at| message(&StreamId::new("Order", at), at))).await.unwrap();
    mark_ends(&format!("{name}.one"), queues).await;
    let (mut ordinals, mut ends) = (Vec::new(), 0);
    while ends < queues {
        let received = in_time(seen.recv()).await.unwrap();
        match received.stream() {
            Some(_) => ordinals.push(ordinal(&received)),
            None => ends += 1,
        }
    }
    running.shutdown().await.unwrap();
    ordinals.sort_unstable();
    ordinals
}

/// How many messages each queue of a group has that no member has taken.
async fn in_each(channel: &lapin::Channel, group: &str, queues: u16) -> Vec<u32> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let mut all = Vec::new();
    for queue in 0..queues {
        let queue = channel.queue_declare(format!("{group}.{queue}").into(), passive, FieldTable::default());
        all.push(queue.await.unwrap().message_count());
    }
    all
}

/// In one queue they would be one member's, however many there are.
#[test]
fn the_streams_of_a_group_are_divided_among_its_queues() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name).queues(4)).await;
        let (running, _seen) = collecting(&bus).await;
        running.shutdown().await.unwrap();
        bus.publish_all((0..STREAMS).map(|at| message(&StreamId::new("Order", at), at))).await.unwrap();
        let (channel, mut counts) = (operator().await, Vec::new());
        // A broker that is busy may say at first that a queue has none.
        until(async || {
            counts = in_each(&channel, &format!("{name}.one"), 4).await;
            counts.iter().sum::<u32>() >= 40
        })
        .await;
        assert_eq!(counts, [10; 4]);
    });
}

/// What was bound for another number took part of them too: they came twice, or to queues that had no consumer any
/// more.
#[test]
fn a_group_gets_each_message_once_whatever_number_of_queues_it_had_before() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        for (round, queues) in [4, 8, 1, 8, 4, 1].into_iter().enumerate() {
            let published = round * STREAMS..(round + 1) * STREAMS;
            let got = got_with(&name, queues, published.clone()).await;
            assert_eq!(got, published.collect::<Vec<_>>(), "with {queues} queues, in round {round}");
        }
    });
}

/// Who tries letters again may have another number set up: the members would get nothing any more.
#[test]
fn dead_letters_are_tried_again_without_a_change_to_the_queues_of_their_group() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name).queues(4)).await;
        let (running, mut seen) = collecting(&bus).await;
        let replay = open(RabbitMqOptions::new(&name)).await;
        let replay = replay.retry_dead_letters("one").handle(async |_: Received| Ok(())).await.unwrap();
        in_time(replay.finished()).await.unwrap();
        bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
    });
}

/// What the broker says is told, and once the other queue is gone the group goes on.
#[test]
fn a_queue_that_was_declared_otherwise_is_waited_for() {
    testing::run(async {
        let (logs, log) = (InMemoryLogExporter::default(), Log::of_process());
        let recorder = Recorder::with(|builder| builder.log_exporter(logs.clone()));
        let work = async {
            let name = format!("eventsource-tests-{}", Uuid::now_v7());
            let (network, url) = Network::before(&services::rabbitmq()).await;
            let bus = RabbitMqBus::connect(&url, RabbitMqOptions::new(&name)).await.unwrap();
            let (running, mut seen) = collecting(&bus).await;
            let queue = format!("{name}.one");
            // While the member is away: it would declare its queue first, or the broker have it consume the other one.
            let away = network.hold_back().await;
            network.cut();
            delete_queue(&queue).await;
            declare_queue(&queue, Some(3)).await.unwrap();
            drop(away);
            until(async || is_refused(&recorder, &logs).await).await;
            delete_queue(&queue).await;
            goes_on(&bus, &mut seen).await;
            running.shutdown().await.unwrap();
        };
        recorder.run(Box::pin(work)).await;
        log.hears_of("eventsource.bus.rabbitmq.waits", "error.type", "PRECONDITION_FAILED").await;
    });
}

/// Whether it was told that the broker does not accept a declaration.
async fn is_refused(recorder: &Recorder, logs: &InMemoryLogExporter) -> bool {
    recorder.flush().await;
    let told = logs.get_emitted_logs().unwrap();
    let told = told.iter().filter(|told| told.record.event_name() == Some("eventsource.bus.rabbitmq.waits"));
    let refused = AnyValue::String("PRECONDITION_FAILED".into());
    let mut fields = told.flat_map(|told| told.record.attributes_iter());
    fields.any(|(key, value)| key.as_str() == "error.type" && *value == refused)
}
