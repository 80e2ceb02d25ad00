//! How much may come off the wire.

use std::convert::Infallible;

use eventsource_runtime::dispatch::{DispatchJsonError, ExecuteJsonError, MAX_JSON};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Kept {}

#[derive(Aggregate, Default)]
#[aggregate(id = u32, events(Kept))]
struct Drawer;

impl Apply<Kept> for Drawer {
    fn apply(&mut self, _: Kept) {}
}

/// It takes whatever is JSON.
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Drawer)]
struct Keep {
    #[command(id)]
    drawer: u32,
    #[expect(dead_code, reason = "it is read off the wire, and that is all")]
    anything: Value,
}

#[command_handler]
impl Drawer {
    fn keep(&self, _: Keep) -> Result<Kept, Infallible> {
        Ok(Kept {})
    }
}

#[derive(Query, Deserialize)]
#[query(output = u32)]
struct Weigh {
    #[expect(dead_code, reason = "it is read off the wire, and that is all")]
    anything: Value,
}

struct Scales;

#[query_handler]
impl Scales {
    fn weigh(&self, _: Weigh) -> Result<u32, Infallible> {
        Ok(7)
    }
}

fn nested(depth: usize) -> String {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    format!(r#"{{"drawer":1,"anything":{open}{close}}}"#)
}

/// JSON of that many bytes.
fn long(bytes: usize) -> String {
    let json = nested(1);
    let spaces = " ".repeat(bytes - json.len());
    json + &spaces
}

#[tokio::test]
async fn a_command_is_read_as_far_as_a_mebibyte_and_127_levels() {
    let bus = CommandBus::builder().aggregate(Repository::<Drawer, _>::new(MemoryStore::new())).build();
    for fits in [long(MAX_JSON), nested(126)] {
        bus.dispatch_json("Keep", fits).await.unwrap();
    }
    let large = bus.dispatch_json("Keep", long(MAX_JSON + 1)).await.unwrap_err();
    assert!(matches!(large, DispatchJsonError::TooLarge { .. }), "{large}");
    for depth in [127, 100_000] {
        let deep = bus.dispatch_json("Keep", nested(depth)).await.unwrap_err();
        assert!(matches!(deep, DispatchJsonError::BadPayload { .. }), "{deep}");
    }
}

#[tokio::test]
async fn so_is_a_query() {
    let bus = QueryBus::builder().handler(Scales).build();
    for fits in [long(MAX_JSON), nested(126)] {
        assert_eq!(bus.execute_json("Weigh", fits).await.unwrap(), 7);
    }
    let large = bus.execute_json("Weigh", long(MAX_JSON + 1)).await.unwrap_err();
    assert!(matches!(large, ExecuteJsonError::TooLarge { .. }), "{large}");
    for depth in [127, 100_000] {
        let deep = bus.execute_json("Weigh", nested(depth)).await.unwrap_err();
        assert!(matches!(deep, ExecuteJsonError::BadPayload { .. }), "{deep}");
    }
}

#[derive(Query, Deserialize)]
#[query(output = String)]
struct Show {
    wide: u128,
    exact: f64,
}

struct Scale;

#[query_handler]
impl Scale {
    fn show(&self, Show { wide, exact }: Show) -> Result<String, Infallible> {
        Ok(format!("{wide} {exact:?}"))
    }
}

/// As it would through a tree of JSON values.
#[tokio::test]
async fn a_number_off_the_wire_loses_nothing() {
    let bus = QueryBus::builder().handler(Scale).build();
    let json = r#"{"wide":340282366920938463463374607431768211455,"exact":-0.0}"#;
    assert_eq!(bus.execute_json("Show", json).await.unwrap(), "340282366920938463463374607431768211455 -0.0");
}
