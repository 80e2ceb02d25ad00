//! A broker behind TLS, whose certificate a test has signed.

use eventsource_runtime::bus::{BusError, RabbitMqBus};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::rabbitmq_server::RabbitMqServer;

use super::options;
use crate::certificates::Authority;
use crate::messages::{collecting, in_time, message, ordinal};

#[test]
fn messages_go_through_tls_to_a_broker_whose_authority_is_known() {
    testing::run(async {
        let authority = Authority::new();
        let server = RabbitMqServer::behind_tls(authority.sign());
        let options = options().add_root_certificates(authority.pem());
        let bus = RabbitMqBus::connect(&server.address(), options).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
    });
}

#[test]
fn a_broker_that_nobody_known_has_signed_is_refused_and_the_error_says_what_to_do() {
    testing::run(async {
        let server = RabbitMqServer::behind_tls(Authority::new().sign());
        let of_another = options().add_root_certificates(Authority::new().pem());
        for options in [of_another, options()] {
            let Err(error) = RabbitMqBus::connect(&server.address(), options).await else {
                panic!("it trusts anybody")
            };
            assert!(matches!(error, BusError::Backend { .. }), "{error:?}");
            assert!(error.to_string().contains("`RabbitMqOptions::add_root_certificates`"), "{error}");
            assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
        }
    });
}

/// The connection was made in plain text, and nobody said so.
#[test]
fn an_authority_for_an_address_without_tls_is_refused() {
    testing::run(async {
        let options = options().add_root_certificates(Authority::new().pem());
        let refused = RabbitMqBus::connect("amqp://guest:guest@localhost:5672", options).await;
        let Err(error @ BusError::Configuration(_)) = refused else { panic!("it connects in plain text") };
        assert!(error.to_string().contains("`amqps`"), "{error}");
    });
}
