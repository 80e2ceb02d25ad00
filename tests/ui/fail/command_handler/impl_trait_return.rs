#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event, command_handler};
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

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    fn place(&self, command: Place) -> impl Into<Placed> {
        Placed
    }
}

fn main() {}
