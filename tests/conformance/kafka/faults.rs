//! What brokers refuse to members of a group, on a cluster that fails as it is told to.

use std::pin::pin;
use std::time::Duration;

use eventsource_runtime::bus::{BusError, KafkaBus, KafkaOptions, Message, Received, SubscriptionStopped};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;

use super::{SESSION, collecting, in_time, message, ordinal};
use crate::lags::wait_for_lag;

/// What is told of a failure, and of that to read a topic which is forbidden.
const FAILED: &str = "eventsource.bus.kafka.failed";
const NO_TOPIC: &str = "TopicAuthorizationFailed";

fn impatient() -> KafkaOptions {
    KafkaOptions::new("orders").session_timeout(SESSION).patience(Duration::from_secs(1))
}

/// It ended as if there were no letters.
#[test]
fn a_replay_that_cannot_see_its_topic_is_an_error() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN;
    testing::run(async {
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.one.dead", "orders.two.dead"] {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        cluster.topic_error("orders.two.dead", FORBIDDEN).unwrap();
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), KafkaOptions::new("orders")).await.unwrap();
        let replayed = async |group: &str| {
            let replay = bus.retry_dead_letters(group).handle(async |_: Received| Ok(())).await?;
            Ok::<_, BusError>(in_time(replay.finished()).await.unwrap().acknowledged)
        };
        assert_eq!(replayed("one").await.unwrap(), 0, "there are none");
        let misspelt = replayed("inventry").await.unwrap_err();
        assert!(format!("{misspelt}").contains("orders.inventry.dead"), "{misspelt:?}");
        let forbidden = replayed("two").await.unwrap_err();
        assert!(matches!(forbidden, BusError::Backend { .. }), "{forbidden:?}");
    });
}

/// It would wait for ever, and nobody would know for what.
#[tokio::test]
async fn who_may_not_read_is_told_so() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as FORBIDDEN;
    let (log, _guard) = Log::of_thread();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    cluster.create_topic("orders.one.dead", 1, 1).unwrap();
    cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[FORBIDDEN; 100]);
    let options = KafkaOptions::new("orders").patience(Duration::from_secs(1));
    let bus = KafkaBus::connect(&cluster.bootstrap_servers(), options).await.unwrap();
    let running = bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
    let stopped = in_time(running.finished()).await.unwrap_err();
    let is_backend = matches!(stopped, SubscriptionStopped::Failed { source: BusError::Backend { .. }, .. });
    assert!(is_backend, "{stopped:?}");
    in_time(log.hears_of(FAILED, "error.type", "GroupAuthorizationFailed")).await;
    in_time(log.hears("eventsource.bus.stopped")).await;
}

/// It stopped at the first refusal, as while somebody changed permissions. If it had only a little patience, it stopped
/// without having looked whether the permission was back.
#[tokio::test]
async fn a_permission_that_is_missing_for_a_while_stops_nobody_and_one_that_stays_missing_does() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN;
    let (log, _guard) = Log::of_thread();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    cluster.create_topic("orders.one.dead", 1, 1).unwrap();
    let bus = KafkaBus::connect(&cluster.bootstrap_servers(), impatient()).await.unwrap();
    let (running, mut seen) = collecting(&bus).await;
    let stream = StreamId::new("Order", 1);
    bus.publish(message(&stream, 0)).await.unwrap();
    in_time(seen.recv()).await.unwrap();
    in_time(async {
        loop {
            // The client drops what it asked for before it had the partition anew.
            cluster.request_errors(RDKafkaApiKey::Fetch, &[FORBIDDEN]);
            let told = log.hears_of(FAILED, "error.type", NO_TOPIC);
            if timeout(Duration::from_secs(1), told).await.is_ok() {
                return cluster.clear_request_errors(RDKafkaApiKey::Fetch);
            }
        }
    })
    .await;
    in_time(log.hears("eventsource.bus.kafka.permitted")).await;
    bus.publish(message(&stream, 1)).await.unwrap();
    in_time(seen.recv()).await.expect("it goes on");
    let mut finished = pin!(running.finished());
    let stopped = in_time(async {
        loop {
            // The client tries again at once.
            cluster.request_errors(RDKafkaApiKey::Fetch, &[FORBIDDEN; 100]);
            if let Ok(finished) = timeout(Duration::from_millis(5), &mut finished).await {
                return finished.unwrap_err();
            }
        }
    })
    .await;
    assert!(matches!(stopped, SubscriptionStopped::Failed { .. }), "{stopped:?}");
}

/// Nothing told it that the permission was back, since it fetched nothing, and it stopped: nobody stood by any more.
#[tokio::test]
async fn a_member_without_partitions_learns_that_a_permission_is_back() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_NO_ERROR as ALLOWED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN,
    };
    let (log, _guard) = Log::of_thread();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    cluster.create_topic("orders.one.dead", 1, 1).unwrap();
    let open = async || KafkaBus::connect(&cluster.bootstrap_servers(), impatient()).await.unwrap();
    let (first, other) = (open().await, open().await);
    let (running, mut seen) = collecting(&first).await;
    let stream = StreamId::new("Order", 1);
    first.publish(message(&stream, 0)).await.unwrap();
    in_time(seen.recv()).await.unwrap();
    cluster.topic_error("orders", FORBIDDEN).unwrap();
    let (standby, mut seen) = collecting(&other).await;
    // The standby alone: the cluster refuses whoever asks what there is of the topic, and not who fetches from it.
    in_time(log.hears_of(FAILED, "error.type", NO_TOPIC)).await;
    cluster.topic_error("orders", ALLOWED).unwrap();
    in_time(log.hears("eventsource.bus.kafka.permitted")).await;
    running.shutdown().await.unwrap();
    first.publish(message(&stream, 1)).await.unwrap();
    // What the other one did while it could commit nothing comes again.
    while ordinal(&in_time(seen.recv()).await.expect("it goes on")) < 1 {}
    standby.shutdown().await.unwrap();
}

/// It tried for ever.
#[test]
fn a_member_that_brokers_never_take_stops() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT as TOO_LONG;
    testing::run(async {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        cluster.create_topic("orders.one.dead", 1, 1).unwrap();
        cluster.request_errors(RDKafkaApiKey::JoinGroup, &[TOO_LONG; 1000]);
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), KafkaOptions::new("orders")).await.unwrap();
        let (running, _seen) = collecting(&bus).await;
        let stopped = in_time(running.finished()).await.unwrap_err();
        assert!(matches!(stopped, SubscriptionStopped::Failed { .. }), "{stopped:?}");
    });
}

/// Each subscription failed, as if brokers were away: a member of it may poll nothing for five minutes by default.
#[test]
fn a_member_may_be_silent_for_long() {
    testing::run(async {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        cluster.create_topic("orders.one.dead", 1, 1).unwrap();
        let options = KafkaOptions::new("orders").session_timeout(Duration::from_mins(10));
        let open = async |options| KafkaBus::connect(&cluster.bootstrap_servers(), options).await.unwrap();
        let bus = open(options.clone()).await;
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
        let other = open(options.set("max.poll.interval.ms", "300000")).await;
        let refused = other.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap_err();
        assert!(refused.is_permanent() && refused.to_string().contains("max.poll.interval.ms"), "{refused:?}");
    });
}

/// A member of a group that has left messages unhandled which brokers have deleted since. They were passed over, at a
/// lag of 0, and nobody heard of it.
fn deleted(topic: &str, refused: &[RDKafkaRespErr]) {
    testing::run(async {
        let log = Log::of_process();
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, 1, 1).unwrap();
        cluster.create_topic(&format!("{topic}.one.dead"), 1, 1).unwrap();
        let options = KafkaOptions::new(topic).session_timeout(SESSION);
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), options).await.unwrap();
        let stream = StreamId::new("Order", 1);
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&stream, 0)).await.unwrap();
        in_time(seen.recv()).await.unwrap();
        running.shutdown().await.unwrap();
        // The cluster keeps 5 MB of a partition.
        for _ in 0..8 {
            let large = || Message::new(stream.clone(), "OrderPlaced", vec![b'x'; 900_000]);
            bus.publish_all((0..2).map(|_| large())).await.unwrap();
        }
        cluster.request_errors(RDKafkaApiKey::ListOffsets, refused);
        let (running, _seen) = collecting(&bus).await;
        in_time(log.hears_of("eventsource.bus.kafka.deleted", "messaging.destination.name", topic)).await;
        running.shutdown().await.unwrap();
    });
}

#[test]
fn what_is_deleted_before_a_group_handled_it_is_told() {
    deleted("orders", &[]);
}

/// Nobody asked again, and if they had, the group would have moved on.
#[test]
fn what_is_deleted_is_told_though_brokers_do_not_answer_at_first() {
    // The client asks as well, soon again, and then the group moves on.
    deleted("shipments", &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUEST; 3]);
}

/// The gauge went by what this member had done, and nobody told that the next one would do it all again.
#[test]
fn commits_that_fail_are_told_and_leave_the_group_behind() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as FORBIDDEN;
    testing::run(async {
        let log = Log::of_process();
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        cluster.create_topic("orders.one.dead", 1, 1).unwrap();
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[FORBIDDEN; 1000]);
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), KafkaOptions::new("orders")).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        for ordinal in 0..5 {
            bus.publish(message(&StreamId::new("Order", 1), ordinal)).await.unwrap();
            in_time(seen.recv()).await.unwrap();
        }
        let code = "GroupAuthorizationFailed";
        in_time(log.hears_of("eventsource.bus.kafka.commit_failed", "error.type", code)).await;
        wait_for_lag(&bus, Some(5)).await;
        running.shutdown().await.unwrap();
    });
}
