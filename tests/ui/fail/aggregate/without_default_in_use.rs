#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

// The compiler asks wherever a trait requires an aggregate: of the type itself, of each command, and of the handlers.
#[derive(Aggregate)]
#[aggregate(id = u64, events(Placed))]
struct Order; //~

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)] //~
struct Place(#[command(id)] u64);

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)] //~
struct Again(#[command(id)] u64);

#[command_handler]
impl Order { //~
    fn place(&self, command: Place) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }

    async fn again(&self, command: Again) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

async fn used(store: MemoryStore) {
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build();
    commands.dispatch(Place(1)).await.unwrap();
}

fn main() {}
