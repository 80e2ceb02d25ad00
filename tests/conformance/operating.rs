//! The page for operators: its SQL runs on the stores' tables, and what it names is there.

use std::sync::Arc;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{NewEvent, Origin, PostgresOptions, PostgresStore, StreamId};
use eventsource_runtime::testing::{run, skip};
use eventsource_tests::orders::{Order, OrderPlaced};
use eventsource_tests::placing::place;
use eventsource_tests::services;
use rusqlite::Connection;
use tokio_postgres::error::SqlState;
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

/// The event that the page asks for, the command that led to it, and the trace of that.
const EVENT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_a57d_c97c_4dd9_463b);
const COMMAND: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Appends the only event of the stream that the first query asks for, and what the others ask for: the last event is
/// at position 17.
async fn append(store: &impl EventStore) {
    let origin = Origin::at(Timestamp::from_micros(1));
    let first = Origin {
        causation_id: Some(COMMAND),
        correlation_id: Some(COMMAND),
        trace_context: Some(TRACE.parse().unwrap()),
        ..origin.clone()
    };
    let last = Origin {
        causation_id: Some(EVENT),
        metadata: Metadata::default().with("process_manager.cause", EVENT.to_string()),
        ..first.clone()
    };
    let event = |id, origin: &Origin| {
        let origin = Arc::new(origin.clone());
        NewEvent { id, event_type: "Placed", schema_version: 1, payload: "{}".into(), origin }
    };
    let others = (0..14).map(|_| event(Uuid::now_v7(), &origin)).collect();
    for (id, events) in [
        (42, vec![event(Uuid::now_v7(), &origin)]),
        (7, vec![event(EVENT, &first)]),
        (8, others),
        (9, vec![event(Uuid::now_v7(), &last)]),
    ] {
        store.append(&StreamId::new("Order", id), ExpectedVersion::NoStream, events).await.unwrap();
    }
    assert_eq!(store.head().await.unwrap(), 17);
}

/// The queries of these blocks that look for events, and find some. Processes that stand still, noted events, are found
/// where there are some: in `integration::process_managers::refused`.
fn of_events(blocks: &[&'static str]) -> Vec<&'static str> {
    let statements = blocks.iter().flat_map(|block| block.split(';'));
    let of_events = statements.filter(|statement| {
        statement.contains("FROM events") && !["FROM proj", "AS noted"].iter().any(|other| statement.contains(other))
    });
    let found: Vec<_> = of_events.collect();
    assert_eq!(found.len(), 8, "{found:?}");
    found
}

#[tokio::test]
async fn what_operators_ask_sqlite_is_answered() {
    let file = sqlite::a_file();
    append(&sqlite::open(&file).await).await;
    let raw = Connection::open(&file).unwrap();
    let blocks = blocks("-- SQLite");
    let payload: String = raw.query_row(blocks[0], [], |row| row.get("payload")).unwrap();
    assert_eq!(payload, "{}");
    for query in of_events(&blocks) {
        assert!(raw.prepare(query).unwrap().exists([]).unwrap(), "{query} finds nothing");
    }
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
        for query in of_events(&blocks) {
            assert!(!raw.query(query, &[]).await.unwrap().is_empty(), "{query} finds nothing");
        }
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
    for alert in [
        "CommandsFail",
        "ProjectionStopped",
        "ProjectionStalled",
        "DeadLetters",
        "RebuildStalled",
        "ClocksDisagree",
        "ProjectionClockAhead",
    ] {
        assert!(PAGE.contains(&format!("`{alert}`")) && RULES.contains(&format!("alert: {alert}\n")), "{alert}");
    }
}

/// It finds fault with every order.
struct Fussy;

#[projection]
impl Fussy {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("as it must"))
    }
}

#[test]
fn a_role_with_the_rights_that_the_page_grants_can_do_everything_but_change_events() {
    run(async {
        let (schema, address) = (services::a_schema(), services::postgres());
        postgres::open_in(&schema).await.close();
        let (raw, role) = (services::raw(&address).await, format!("app_{schema}"));
        match raw.batch_execute(&format!("CREATE ROLE {role}")).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => skip("no role can be made here"),
            made => made.unwrap(),
        }
        let (_, rest) = PAGE.split_once("```sql\n-- As the owner of the schema\n").expect("the page grants rights");
        let grants =
            rest.split("```").next().unwrap().replace("eventsource", &schema).replace("TO app", &format!("TO {role}"));
        raw.batch_execute(&grants).await.unwrap();

        let join = if address.contains('?') { '&' } else { '?' };
        let options = PostgresOptions::default().schema(&*schema);
        let store =
            PostgresStore::connect_with(&format!("{address}{join}options=-crole%3D{role}"), options).await.unwrap();
        let orders = Repository::<Order, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(orders.clone()).build();
        let order = Uuid::now_v7();
        bus.dispatch(place(order)).await.unwrap();
        for _ in 0..2 {
            orders.create_snapshot(&order).await.unwrap();
        }
        assert!(orders.delete_snapshot(&order).await.unwrap());
        let runner = || ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter).max_retries(0);
        let projections = runner().projection(Fussy).spawn();
        projections.wait_for(store.head().await.unwrap()).await.unwrap();
        projections.shutdown().await.unwrap();
        let letters = runner().dead_letters(Fussy);
        let letter = letters.list(Position::START, 1).await.unwrap().remove(0);
        letters.retry(&letter.stream).await.unwrap_err();
        assert!(letters.resolve(letter.position).await.unwrap());

        raw.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
        for change in
            ["UPDATE {}.events SET version = 7", "DELETE FROM {}.events", "ALTER TABLE {}.events DISABLE TRIGGER ALL"]
        {
            let error = raw.batch_execute(&change.replace("{}", &schema)).await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error}");
        }
        raw.batch_execute(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
    });
}
