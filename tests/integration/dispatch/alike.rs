//! Two types of aggregates that are stored under one name.

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
