//! An exchange that an operator deletes.

use std::time::Duration;

use eventsource_runtime::bus::{PublishError, RabbitMqOptions};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use lapin::options::ExchangeDeleteOptions;
use uuid::Uuid;

use super::faults::operator;
use super::open;
use crate::messages::{collecting, collecting_as, in_time, message, ordinal, until};

/// It stayed away until the connection was lost, and each publication was told as a timeout. With the exchange went the
/// bindings: whoever declares it first knows nothing of the groups of other processes.
#[test]
fn a_deleted_exchange_is_declared_again_and_no_group_misses_what_is_published_then() {
    testing::run(async {
        const TOLD: &str = "eventsource.bus.rabbitmq.waits";
        let (log, recorder) = (Log::of_process(), Recorder::new());
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let options = RabbitMqOptions::new(&name).publish_timeout(Duration::from_secs(1));
        let publisher = open(options.clone()).await;
        let (first, mut one) = collecting(&open(options.clone()).await).await;
        let (second, mut two) = collecting_as(&open(options.queues(3)).await, "two").await;
        let stream = StreamId::new("Order", 1);
        until(async || publisher.publish(message(&stream, 0)).await.is_ok()).await;

        operator().await.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
        let denied = recorder.run(publisher.publish(message(&stream, 1))).await.unwrap_err();
        assert!(matches!(denied, PublishError::Denied { code: "NOT_FOUND", .. }), "{denied:?}");
        assert_eq!(denied.error_type(), "NOT_FOUND");
        in_time(log.hears_of(TOLD, "messaging.destination.name", &name)).await;
        log.has_ids(TOLD, &recorder.spans());

        until(async || publisher.publish(message(&stream, 2)).await.is_ok()).await;
        for seen in [&mut one, &mut two] {
            while ordinal(&in_time(seen.recv()).await.unwrap()) != 2 {}
        }
        first.shutdown().await.unwrap();
        second.shutdown().await.unwrap();
    });
}
