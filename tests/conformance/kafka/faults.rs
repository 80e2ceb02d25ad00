//! What brokers refuse to members of a group, on a cluster that fails as it is told to.

use eventsource_runtime::bus::{BusError, KafkaBus, KafkaOptions, Received, SubscriptionStopped};
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::in_time;

/// It would wait for ever, and nobody would know for what.
#[test]
fn who_may_not_read_is_told_so() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as FORBIDDEN;
    testing::run(async {
        let log = Log::of_process();
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        cluster.create_topic("orders.one.dead", 1, 1).unwrap();
        cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[FORBIDDEN; 100]);
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), KafkaOptions::new("orders")).await.unwrap();
        let running = bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
        let stopped = in_time(running.finished()).await.unwrap_err();
        let is_backend = matches!(stopped, SubscriptionStopped::Failed { source: BusError::Backend { .. }, .. });
        assert!(is_backend, "{stopped:?}");
        in_time(log.hears("eventsource.bus.kafka.failed")).await;
        in_time(log.hears("eventsource.bus.stopped")).await;
    });
}
