//! Two types of aggregates that are stored under one name, two repositories of one aggregate, and two handlers of one
//! query.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use serde::Deserialize;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Marked, Tools};

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Marked))]
struct Sheet;

impl Apply<Marked> for Sheet {
    fn apply(&mut self, _: Marked) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Sheet)]
struct Erase {
    #[command(id)]
    id: Uuid,
}

#[command_handler]
impl Sheet {
    fn erase(&self, command: Erase) -> Result<Marked, Infallible> {
        Ok(Marked { mark: command.id })
    }
}

/// Each wrote what the other could not read.
#[test]
#[should_panic(expected = "are both stored as `Sheet`")]
fn they_have_no_bus_together() {
    let store = MemoryStore::new();
    let tools = Tools { together: Barrier::new(1), store: store.clone() };
    let one = Repository::<super::Sheet, _>::new(store.clone()).with_services(tools);
    drop(CommandBus::builder().aggregate(one).aggregate(Repository::<Sheet, _>::new(store)).build());
}

/// The second took the place of the first, without a word.
#[test]
#[should_panic(expected = "alike::Sheet`; give it one")]
fn an_aggregate_has_one_repository() {
    let one = Repository::<Sheet, _>::new(MemoryStore::new());
    drop(CommandBus::builder().aggregate(one.clone()).aggregate(one).build());
}

#[derive(Query, Deserialize)]
#[query(output = u32)]
struct CountSheets;

struct Archive;

#[query_handler]
impl Archive {
    fn count(&self, _: CountSheets) -> Result<u32, Infallible> {
        Ok(1)
    }
}

struct Desk;

#[query_handler]
impl Desk {
    fn count(&self, _: CountSheets) -> Result<u32, Infallible> {
        Ok(2)
    }
}

/// The second took the place of the first, without a word.
#[test]
fn a_query_has_one_handler() {
    let panic = std::panic::catch_unwind(|| QueryBus::builder().handler(Archive).handler(Desk).build()).unwrap_err();
    let said = panic.downcast_ref::<String>().expect("it says why");
    assert!(said.contains("alike::Desk` and `") && said.contains("alike::Archive` both handle `"), "{said}");
    assert!(said.contains("alike::CountSheets`"), "{said}");
}
