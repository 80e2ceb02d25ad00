//! The page for operators: its SQL runs on the stores' tables, and what it names is there.

use std::sync::Arc;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{EventStore, ExpectedVersion, NewEvent, Origin, StreamId};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use rusqlite::Connection;
use uuid::Uuid;

use crate::{postgres, sqlite};

const PAGE: &str = include_str!("../../eventsource-runtime/docs/operating.md");
const TELEMETRY: &str = include_str!("../../eventsource-runtime/docs/telemetry.md");
const RULES: &str = include_str!("../../examples/observability/rules.yml");

/// The blocks of SQL for a database: those that name it, and those that name none.
fn blocks(database: &str) -> Vec<&'static str> {
    let blocks = PAGE.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks
        .filter(|block| block.lines().next().is_some_and(|line| !line.starts_with("--") || line == database))
        .collect();
    assert!(blocks.len() > 3, "{} blocks are for {database}", blocks.len());
    blocks
}

/// Appends the event that the first query asks for.
async fn append(store: &impl EventStore) {
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = NewEvent { id: Uuid::now_v7(), event_type: "Placed", schema_version: 1, payload: "{}".into(), origin };
    store.append(&StreamId::new("Order", 42), ExpectedVersion::NoStream, vec![event]).await.unwrap();
}

#[tokio::test]
async fn what_operators_ask_sqlite_is_answered() {
    let file = sqlite::a_file();
    append(&sqlite::open(&file).await).await;
    let raw = Connection::open(&file).unwrap();
    let blocks = blocks("-- SQLite");
    let payload: String = raw.query_row(blocks[0], [], |row| row.get("payload")).unwrap();
    assert_eq!(payload, "{}");
    for block in blocks {
        raw.execute_batch(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

#[test]
fn what_operators_ask_postgres_is_answered() {
    run(async {
        let schema = services::a_schema();
        append(&postgres::open_in(&schema).await).await;
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        let blocks = blocks("-- PostgreSQL");
        let first = raw.query_one(blocks[0], &[]).await.unwrap();
        assert_eq!(first.get::<_, String>("payload"), "{}");
        for block in blocks {
            raw.batch_execute(block).await.unwrap_or_else(|error| panic!("{error}\n{block}"));
        }
    });
}

#[test]
fn the_metrics_the_log_events_and_the_alerts_that_operators_look_for_are_there() {
    let code: Vec<_> = PAGE.split('`').skip(1).step_by(2).collect();
    let names: Vec<_> = code.iter().filter(|code| code.starts_with("eventsource.")).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(TELEMETRY.contains(&format!("`{name}`")), "{name}");
    }
    for alert in ["ProjectionStopped", "ProjectionStalled", "DeadLetters", "RebuildStalled"] {
        assert!(PAGE.contains(&format!("`{alert}`")) && RULES.contains(&format!("alert: {alert}\n")), "{alert}");
    }
}
