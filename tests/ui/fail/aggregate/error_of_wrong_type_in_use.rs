#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Debug)]
enum Refusal {
    Empty,
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Refusal, events(Placed))]
struct Order;

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place(#[command(id)] u64);

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Again(#[command(id)] u64);

#[command_handler]
impl Order {
    fn place(&self, command: Place) -> Result<Placed, Refusal> {
        Err(Refusal::Empty)
    }

    async fn again(&self, command: Again) -> Result<Placed, Refusal> {
        Ok(Placed)
    }
}

async fn used(store: MemoryStore) {
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build();
    match commands.dispatch(Place(1)).await {
        Err(DispatchError::Rejected(Refusal::Empty)) => {}
        decided => drop(decided.unwrap()),
    }
}

fn main() {}
