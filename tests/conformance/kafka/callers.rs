//! What callers do to each other, of whom some are not polled for a while, on a cluster that fails as it is told to.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use eventsource_runtime::bus::{KafkaBus, KafkaOptions};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{in_time, message};

/// It kept the turn to replace the producer that all had lost: they waited for it, past their timeouts too.
#[test]
fn a_publication_that_nobody_polls_keeps_no_other_from_a_new_producer() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER as SEQUENCE;
    testing::run(async {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        let bus = KafkaBus::connect(&cluster.bootstrap_servers(), KafkaOptions::new("orders")).await.unwrap();
        let stream = StreamId::new("Order", 1);
        in_time(bus.publish(message(&stream, 0))).await.unwrap();
        cluster.request_errors(RDKafkaApiKey::Produce, &[SEQUENCE]);
        let mut publication = pin!(bus.publish(message(&stream, 1)));
        let mut polls = 0;
        poll_fn(|task| {
            polls += 1;
            let is_pending = publication.as_mut().poll(task).is_pending();
            // The second time it learns that its producer is lost.
            if is_pending && polls < 2 { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        in_time(bus.publish(message(&stream, 2))).await.unwrap();
        in_time(publication).await.unwrap();
    });
}
