//! What is told of a failure, so that whoever looks for its cause finds it.

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteStore;
use eventsource_tests::scratch::Scratch;
use opentelemetry_sdk::logs::SdkLogRecord;
use uuid::Uuid;

use crate::logs::{attribute, recorded, records};
use crate::{bus, place};

/// All causes of a store's trouble were one line, and only a span or a metric told them apart.
#[tokio::test]
async fn the_code_of_the_database_is_told_wherever_its_failure_is_logged() {
    let (recorder, logs) = recorded(|builder| builder);
    let (scratch, order) = (Scratch::new(), Uuid::now_v7());
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.execute_batch("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT * FROM nowhere; END").unwrap();
    let failing = async {
        bus(&store).dispatch(place(order)).await.unwrap_err();
        raw.execute_batch("DROP TABLE events").unwrap();
        store.read_stream(&StreamId::new("Order", order), Version::START, 1).await.unwrap_err();
        CommandBus::builder().build().dispatch(place(order)).await.unwrap_err();
    };
    recorder.run(failing).await;
    let records = records(&recorder, &logs).await;
    let failed = records.iter().filter(|record| record.event_name() == Some("eventsource.span.failed"));
    let told = |record| {
        let [name, code] = ["eventsource.span.name", "db.response.status_code"].map(|key| attribute(record, key));
        (name.unwrap_or_default(), code.unwrap_or_default())
    };
    let expected = [
        ("event_store.append", "1"),
        ("persist_events", "1"),
        ("command.PlaceOrder", "1"),
        ("event_store.load", "1"),
        ("command.PlaceOrder", ""),
    ];
    let expected = expected.map(|(name, code)| (name.to_owned(), code.to_owned()));
    assert_eq!(failed.map(told).collect::<Vec<_>>(), expected);
    store.close().await;
}

/// Who had only the key of a request, from which the command's id is made, found nothing.
#[tokio::test]
async fn a_command_that_fails_is_logged_with_the_ids_of_its_aggregate_and_its_own() {
    let (recorder, logs) = recorded(|builder| builder);
    let (store, order, command_id) = (SqliteStore::open(":memory:").await.unwrap(), Uuid::now_v7(), Uuid::now_v7());
    store.close().await;
    let failing = async {
        bus(&store).dispatch(place(order)).await.unwrap_err();
        let context = Context { command_id: Some(command_id), ..Context::default() };
        bus(&store).dispatch_with(place(order), context).await.unwrap_err();
    };
    recorder.run(failing).await;
    let records = records(&recorder, &logs).await;
    let is_commands =
        |record: &&SdkLogRecord| attribute(record, "eventsource.span.name").as_deref() == Some("command.PlaceOrder");
    let ids = |record| ["eventsource.aggregate.id", "eventsource.command.id"].map(|key| attribute(record, key));
    let order = Some(order.to_string());
    let expected = [[order.clone(), None], [order, Some(command_id.to_string())]];
    assert_eq!(records.iter().filter(is_commands).map(ids).collect::<Vec<_>>(), expected);
    let spans = recorder.spans();
    let mut on_spans = spans.iter().flat_map(|span| &span.attributes);
    assert!(on_spans.all(|attribute| attribute.key.as_str() != "eventsource.command.id"));
}
