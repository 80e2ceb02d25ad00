//! Services on a broker: one trace from the command to what it led to in the other service.

use eventsource_runtime::testing;
use eventsource_tests::postgres_kafka::{Inventory, Orders, Places};
use eventsource_tests::rabbitmq::{self, CUSTOMERS, Notifications};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

fn a_run() -> String {
    Uuid::now_v7().simple().to_string()
}

/// The names from a span up to its root.
fn path(spans: &[SpanData], span: &SpanData) -> Vec<String> {
    let parent = spans.iter().find(|parent| parent.span_context.span_id() == span.parent_span_id);
    let mut names = parent.map_or_else(Vec::new, |parent| path(spans, parent));
    names.push(span.name.to_string());
    names
}

#[test]
fn an_order_reserves_stock_in_another_services_store_in_one_trace() {
    testing::run(async {
        let places = Places { postgres: services::postgres(), kafka: services::kafka(), run: a_run() };
        let recorder = Recorder::new();
        recorder
            .run(async {
                let inventory = Inventory::open(&places).await.unwrap();
                let orders = Orders::open(&places).await.unwrap();
                orders.place("keyboard", 2).await.unwrap();
                orders.place("keyboard", 1).await.unwrap();
                inventory.handled(2).await.unwrap();
                assert_eq!(inventory.reserved("keyboard").await.unwrap(), 3);
                orders.close().await.unwrap();
                inventory.close().await.unwrap();
            })
            .await;
        let spans = recorder.spans();
        let appended: Vec<_> = spans.iter().filter(|span| span.name == "command.ReserveStock").collect();
        assert_eq!(appended.len(), 2);
        let process = format!("process orders-{}", places.run);
        for command in appended {
            assert_eq!(
                path(&spans, command),
                ["command.PlaceOrder", "persist_events", &process, "command.ReserveStock"]
            );
        }
        let projected = spans.iter().filter(|span| span.name == "projection.StockLevels").count();
        assert!(projected >= 1, "the read model is the inventory's own");
    });
}

#[test]
fn a_mail_that_bounced_goes_out_when_its_dead_letter_is_tried_again() {
    testing::run(async {
        let (url, run) = (services::rabbitmq(), a_run());
        let recorder = Recorder::new();
        recorder
            .run(async {
                let bus = rabbitmq::open(&url, &run).await.unwrap();
                let notifications = Notifications::open(bus.clone()).await.unwrap();
                for customer in CUSTOMERS {
                    rabbitmq::place(&bus, customer).await.unwrap();
                }
                assert_eq!(notifications.close(CUSTOMERS.len() as u64).await.unwrap(), 1);
            })
            .await;
        let spans = recorder.spans();
        let mails: Vec<_> = spans.iter().filter(|span| span.name == "notification.send_mail").collect();
        let exchange = format!("orders-{run}");
        let (send, process) = (
            format!("send {exchange}:Order.OrderPlaced"),
            format!("process {exchange}:Order.OrderPlaced:{exchange}.notifications"),
        );
        let in_the_trace = ["place_order", &send, &process, "notification.send_mail"];
        let of_first_attempts = mails.iter().filter(|mail| path(&spans, mail) == in_the_trace).count();
        assert_eq!((mails.len(), of_first_attempts), (5, 3), "two more attempts have traces of their own");
    });
}
