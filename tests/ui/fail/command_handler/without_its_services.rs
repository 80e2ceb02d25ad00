#![allow(unused)]

use eventsource_runtime::prelude::*;
use eventsource_runtime::testing::given;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place(#[command(id)] u64);

struct Prices {
    cents: u64,
}

#[command_handler]
impl Order {
    fn place(&self, command: Place, prices: &Prices) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

async fn none(store: MemoryStore) {
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build(); //~
    commands.dispatch(Place(1)).await.unwrap();
}

async fn others(store: MemoryStore) {
    let orders = Repository::<Order, _>::new(store).with_services(5_u64);
    let commands = CommandBus::builder().aggregate(orders).build(); //~
    commands.dispatch(Place(1)).await.unwrap();
}

fn tested() {
    given::<Order>(()).when(Place(1)).then(Placed); //~
}

async fn tested_while_waiting() {
    given::<Order>(()).when_async(Place(1)).await.then(Placed); //~
}

fn main() {}
