//! The same program built without `otel`: it compiles, it runs, and it emits nothing.

#![cfg(not(feature = "otel"))]

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::Filter;
use eventsource_runtime::telemetry;
use eventsource_tests::orders::{NotificationService, Order, OrderLine, PlaceOrder};
use eventsource_tests::shipping::Shipping;
use uuid::Uuid;

#[tokio::test]
async fn commands_are_handled_and_nothing_is_traced() {
    const { assert!(!telemetry::AVAILABLE) };
    let set_up = Telemetry::from_env("off").console_without_endpoint().install().unwrap();
    let store = MemoryStore::new();
    let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let command = PlaceOrder {
        order_id: Uuid::now_v7(),
        user_id: "user-7".into(),
        customer: "Ada".into(),
        lines: vec![OrderLine { product: "Keyboard".into(), quantity: 1 }],
        shipping_address: "1 Analytical Row".into(),
    };
    bus.dispatch(command).await.unwrap();
    let managers = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Shipping>().spawn();
    managers.shutdown().await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    assert_eq!(page.events[0].trace_context, None);
    NotificationService::new(true).send_email("ada@example.org", "hello").await.unwrap();
    current_span().record("nobody.listens", 1);
    set_up.shutdown().await.unwrap();
}
