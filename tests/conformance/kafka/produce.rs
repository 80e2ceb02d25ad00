//! What becomes of publications when brokers refuse them or are away, on a cluster that fails as it is told to.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, HandlerError, KafkaBus, KafkaOptions, Message, PublishError, Received};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::telemetry::span;
use eventsource_runtime::testing;
use eventsource_tests::alone::run_alone;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{SESSION, collecting, in_time, message, ordinal};
use crate::messages::until;

type Cluster = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "orders";

/// A cluster of one broker with the topic, which has one partition.
fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    cluster.create_topic("orders.one.dead", 1, 1).unwrap();
    cluster
}

/// So that what is published at once goes out in one request.
fn options() -> KafkaOptions {
    KafkaOptions::new(TOPIC).set("linger.ms", "50").session_timeout(SESSION)
}

async fn open(cluster: &Cluster, options: KafkaOptions) -> KafkaBus {
    KafkaBus::connect(&cluster.bootstrap_servers(), options).await.unwrap()
}

fn stream(id: u32) -> StreamId {
    StreamId::new("Order", id)
}

/// What each publication came to.
async fn outcomes(bus: &KafkaBus, messages: impl IntoIterator<Item = Message>) -> Vec<&'static str> {
    let results = in_time(bus.inner().publish(messages.into_iter().collect())).await;
    results.iter().map(|result| result.as_ref().map_or_else(PublishError::error_type, |_| "ok")).collect()
}

/// The streams and ordinals of all messages that are on the topic.
async fn all(bus: &KafkaBus, count: usize) -> Vec<(String, usize)> {
    let (running, mut seen) = collecting(bus).await;
    let mut all = Vec::new();
    while all.len() < count {
        let received = in_time(seen.recv()).await.unwrap();
        all.push((received.stream().unwrap().aggregate_id().to_owned(), ordinal(&received)));
    }
    running.shutdown().await.unwrap();
    assert!(seen.try_recv().is_err(), "no more than were published: {all:?}");
    all
}

#[test]
fn errors_that_pass_are_no_failure_and_double_nothing() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as TOO_FEW, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NO_LEADER,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as LATE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN,
    };
    testing::run(async {
        let cluster = cluster();
        let bus = open(&cluster, options()).await;
        cluster.request_errors(RDKafkaApiKey::Produce, &[LATE, NO_LEADER, TOO_FEW, UNKNOWN]);
        let messages = (0..20).map(|number| message(&stream(1), number));
        assert_eq!(outcomes(&bus, messages).await, ["ok"; 20]);
        let published = all(&bus, 20).await;
        assert_eq!(published.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    });
}

/// The brokers refuse a whole request for one message: the others are none the worse for it.
#[test]
fn a_refused_request_is_sent_again_message_by_message() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE as OVER_A_SEGMENT,
    };
    testing::run(async {
        // Of what is longer than a segment of the log together, each may fit alone: a relay tried all for ever.
        for refusal in [TOO_LARGE, OVER_A_SEGMENT] {
            let cluster = cluster();
            let bus = open(&cluster, options()).await;
            cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
            let messages = [message(&stream(1), 1), message(&stream(2), 1), message(&stream(1), 2)];
            assert_eq!(outcomes(&bus, messages).await, ["ok"; 3], "{refusal:?}");
            let expected = [("1", 1), ("2", 1), ("1", 2)].map(|(stream, number)| (stream.to_owned(), number));
            assert_eq!(all(&bus, 3).await, expected);
        }
    });
}

/// Each call made a producer of its own, with its threads and connections.
#[test]
fn calls_whose_messages_were_in_a_refused_request_share_a_producer() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE;
    run_alone("kafka::produce::calls_whose_messages_were_in_a_refused_request_share_a_producer", async {
        let cluster = cluster();
        let bus = open(&cluster, options()).await;
        cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE]);
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        let (before, mut most) = (threads(), 0);
        let publish = |id| {
            let bus = bus.clone();
            async move { bus.publish(message(&stream(id), 1)).await }
        };
        let mut published = pin!((0..200).map(publish).collect::<JoinSet<_>>().join_all());
        let published = in_time(async {
            loop {
                most = most.max(threads());
                if let Ok(published) = timeout(Duration::from_millis(1), &mut published).await {
                    return published;
                }
            }
        })
        .await;
        assert!(published.iter().all(Result::is_ok), "{published:?}");
        assert!(most < before + 50, "{before} threads became {most}");
        assert_eq!(all(&bus, 200).await.len(), 200);
    });
}

#[test]
fn a_message_that_brokers_refuse_for_good_holds_up_its_stream_alone() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_INVALID_RECORD as INVALID, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE,
        RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE as OVER_A_SEGMENT,
    };
    testing::run(async {
        for refusal in [TOO_LARGE, OVER_A_SEGMENT, INVALID] {
            let cluster = cluster();
            let bus = open(&cluster, options()).await;
            // With the others, and then alone.
            cluster.request_errors(RDKafkaApiKey::Produce, &[refusal, refusal]);
            let messages = [message(&stream(1), 1), message(&stream(1), 2), message(&stream(2), 1)];
            assert_eq!(outcomes(&bus, messages).await, ["invalid", "behind", "ok"]);
            assert_eq!(outcomes(&bus, [message(&stream(1), 3)]).await, ["ok"], "the bus goes on");
            assert_eq!(all(&bus, 2).await, [("2".to_owned(), 1), ("1".to_owned(), 3)]);
        }
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_before_anything_of_its_stream_is_sent() {
    testing::run(async {
        let cluster = cluster();
        let bus = open(&cluster, options().max_message_bytes(2000)).await;
        let long = Message::new(stream(1), "OrderPlaced", vec![b'0'; 3000]);
        assert!(bus.publish(long.clone()).await.unwrap_err().is_permanent());
        let messages = [long, message(&stream(1), 2), message(&stream(2), 1)];
        assert_eq!(outcomes(&bus, messages).await, ["too_large", "behind", "ok"]);
        assert_eq!(all(&bus, 1).await, [("2".to_owned(), 1)]);
    });
}

/// It has headers that the message had not.
#[test]
fn a_dead_letter_may_be_longer_than_a_message() {
    testing::run(async {
        let cluster = cluster();
        let longest = message(&stream(1), 7);
        let mut size = longest.payload().len() + stream(1).as_str().len();
        longest.write_headers(&mut |name, value| size += name.len() + value.len());
        let bus = open(&cluster, options().max_message_bytes(size.try_into().unwrap())).await;
        let failing =
            bus.subscribe("one").max_retries(0).handle(async |_: Received| Err(HandlerError::new("it fails")));
        let failing = failing.await.unwrap();
        bus.publish(longest).await.unwrap();
        in_time(async {
            while failing.tally().dead_lettered < 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        failing.shutdown().await.unwrap();
    });
}

/// A foreign producer may have sent it: it would never fit, and is not tried for ever.
#[test]
fn a_dead_letter_that_its_topic_can_never_take_is_left_where_it_was() {
    testing::run(async {
        let cluster = cluster();
        let bus = open(&cluster, options().max_message_bytes(2000)).await;
        let foreign = open(&cluster, options()).await;
        let failing =
            bus.subscribe("one").max_retries(0).handle(async |_: Received| Err(HandlerError::new("it fails")));
        let failing = failing.await.unwrap();
        foreign.publish(Message::new(stream(1), "OrderPlaced", vec![b'0'; 200_000])).await.unwrap();
        bus.publish(message(&stream(1), 2)).await.unwrap();
        in_time(async {
            while failing.tally().dead_lettered < 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let tally = failing.shutdown().await.unwrap();
        assert_eq!((tally.unkeepable, tally.dead_lettered, tally.acknowledged), (1, 1, 0));
        let (seen, seeing) = std::sync::mpsc::channel();
        let again = bus.retry_dead_letters("one").handle(move |letter: Received| {
            seen.send(ordinal(&letter)).unwrap();
            std::future::ready(Ok(()))
        });
        in_time(again.await.unwrap().finished()).await.unwrap();
        assert_eq!(seeing.try_iter().collect::<Vec<_>>(), [2], "the group goes on behind it");
    });
}

/// What the client has no room for waits for some, in order, and no longer than a publication may.
#[test]
fn a_full_queue_of_the_client_holds_up_and_loses_nothing() {
    run_alone("kafka::produce::a_full_queue_of_the_client_holds_up_and_loses_nothing", async {
        let cluster = cluster();
        let options = options().set("queue.buffering.max.messages", "5");
        let patient = open(&cluster, options.clone()).await;
        let messages = (0..40).map(|number| message(&stream(1), number));
        assert_eq!(outcomes(&patient, messages).await, ["ok"; 40]);
        let bus = open(&cluster, options.publish_timeout(Duration::from_secs(3))).await;
        let (log, recorder) = (Log::of_process(), Recorder::new());
        cluster.broker_down(1).unwrap();
        let publish = span("relay").run(outcomes(&bus, (0..20).map(|id| message(&stream(id), 99))));
        assert_eq!(recorder.run(publish).await, ["timeout"; 20]);
        in_time(log.hears("eventsource.bus.kafka.cut")).await;
        log.has_ids("eventsource.bus.kafka.cut", &recorder.spans());
        cluster.broker_up(1).unwrap();
        let published = all(&bus, 40).await;
        assert_eq!(published.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    });
}

/// What the brokers say of whoever publishes is nobody's fault among the messages, and comes out at once.
#[test]
fn a_publisher_that_is_not_allowed_to_is_told_so() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN;
    testing::run(async {
        let cluster = cluster();
        let bus = open(&cluster, options()).await;
        cluster.request_errors(RDKafkaApiKey::Produce, &[FORBIDDEN]);
        let error = in_time(bus.publish(message(&stream(1), 1))).await.unwrap_err();
        assert!(matches!(error, PublishError::Backend { .. }) && !error.is_permanent(), "{error:?}");
        // In one request. The other stream was told that a queue may be full.
        cluster.request_errors(RDKafkaApiKey::Produce, &[FORBIDDEN]);
        let messages = [message(&stream(1), 1), message(&stream(2), 1), message(&stream(1), 2)];
        assert_eq!(outcomes(&bus, messages).await, ["backend", "backend", "behind"]);
        assert_eq!(outcomes(&bus, [message(&stream(1), 1)]).await, ["ok"], "it may be by now");
    });
}

/// Each attempt cut off what others had under way, which was published twice.
#[test]
fn a_topic_that_takes_no_dead_letters_is_no_trouble_to_publishers() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN;
    testing::run(async {
        let cluster = cluster();
        cluster.create_topic("orders.two.dead", 1, 1).unwrap();
        cluster.topic_error("orders.two.dead", FORBIDDEN).unwrap();
        let bus = open(&cluster, options()).await;
        let (begun, pause) = (Arc::new(Notify::new()), Duration::from_millis(1));
        let tell = Arc::clone(&begun);
        let refusing = move |_: Received| {
            tell.notify_one();
            std::future::ready(Err(HandlerError::new("it fails").permanent()))
        };
        let failing = bus.subscribe("two").pauses(pause, pause).handle(refusing).await.unwrap();
        bus.publish(message(&stream(1), 0)).await.unwrap();
        in_time(begun.notified()).await;
        cluster.broker_round_trip_time(1, Duration::from_millis(100)).unwrap();
        for number in 1..20 {
            assert_eq!(outcomes(&bus, [message(&stream(1), number)]).await, ["ok"]);
        }
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        failing.shutdown_within(Duration::ZERO).await.unwrap_err();
        let published = all(&bus, 20).await;
        assert_eq!(published.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    });
}

/// The client gives its producer up for good: another one takes its place.
#[test]
fn a_producer_that_is_broken_is_replaced() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as EPOCH, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER as SEQUENCE,
        RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID as UNKNOWN,
    };
    testing::run(async {
        for fault in [SEQUENCE, EPOCH, UNKNOWN] {
            let cluster = cluster();
            let bus = open(&cluster, options()).await;
            assert_eq!(outcomes(&bus, [message(&stream(1), 0)]).await, ["ok"]);
            cluster.request_errors(RDKafkaApiKey::Produce, &[fault]);
            let messages = (1..5).map(|number| message(&stream(1), number));
            assert_eq!(outcomes(&bus, messages).await, ["ok"; 4], "{fault:?}");
            let published = all(&bus, 5).await;
            assert_eq!(published.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{fault:?}");
        }
    });
}

/// The broker is away, for longer than one publication waits: nothing that was reported as published is missing, and
/// what was not is first seen in order when it is published again.
#[test]
fn a_broker_that_is_away_delays_and_loses_nothing() {
    let away = Duration::from_millis(eventsource_tests::services::repeats("EVENTSOURCE_TESTS_AWAY", 3000) as u64);
    run_alone("kafka::produce::a_broker_that_is_away_delays_and_loses_nothing", async {
        let log = Log::of_process();
        let cluster = cluster();
        let bus = open(&cluster, options().publish_timeout(Duration::from_secs(1))).await;
        let (running, mut seen) = collecting(&bus).await;
        // The first one takes as long as it takes to connect.
        in_time(async { while bus.publish(message(&stream(1), 0)).await.is_err() {} }).await;
        cluster.broker_down(1).unwrap();
        let back = tokio::time::Instant::now() + away;
        let mut refused = 0;
        while tokio::time::Instant::now() < back {
            let told = outcomes(&bus, [message(&stream(1), 1), message(&stream(1), 2)]).await;
            assert_eq!(told, ["timeout", "behind"]);
            refused += 1;
        }
        assert!(refused > 0);
        until(async || !bus.inner().health().unwrap().is_connected()).await;
        cluster.broker_up(1).unwrap();
        let both = || [message(&stream(1), 1), message(&stream(1), 2)];
        in_time(async { while outcomes(&bus, both()).await != ["ok"; 2] {} }).await;
        let mut first_seen = Vec::new();
        while first_seen.len() < 3 {
            let number = ordinal(&in_time(seen.recv()).await.unwrap());
            if !first_seen.contains(&number) {
                first_seen.push(number);
            }
        }
        assert_eq!(first_seen, [0, 1, 2]);
        until(async || bus.inner().health().unwrap().is_connected()).await;
        running.shutdown().await.unwrap();
        in_time(log.hears("eventsource.bus.kafka.connected")).await;
        in_time(log.hears("eventsource.bus.kafka.disconnected")).await;
    });
}

/// By the stream's name, and where every client of the JVM would put it: so producers of both kinds keep its order.
#[test]
fn a_record_has_its_streams_key_and_the_partition_of_that() {
    testing::run(async {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 12, 1).unwrap();
        let bus = open(&cluster, options()).await;
        let id = "0193f2a4-7c3e-7d1a-9b2c-0123456789ab";
        let streams = [StreamId::new("Order", 1), StreamId::new("Order", 42), StreamId::new("Order", id)];
        let messages: Vec<_> = streams.iter().map(|stream| message(stream, 1)).collect();
        assert_eq!(outcomes(&bus, messages).await, ["ok"; 3]);
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "looks")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..12 {
            all.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        let mut found = Vec::new();
        while found.len() < streams.len() {
            if let Some(record) = consumer.poll(Duration::from_millis(50)) {
                let record = record.unwrap();
                found.push((String::from_utf8(record.key().unwrap().to_vec()).unwrap(), record.partition()));
            }
        }
        found.sort();
        // murmur2, as those clients have it, worked out by another program.
        assert_eq!(found, [(format!("Order-{id}"), 11), ("Order-1".to_owned(), 3), ("Order-42".to_owned(), 9)]);
    });
}
