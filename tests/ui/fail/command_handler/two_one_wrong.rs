#![allow(unused)]

use std::convert::Infallible;

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

struct Cancel(u64);

#[command_handler]
impl Order {
    fn place(&self, command: Place) -> Result<Placed, Infallible> {
        Ok(Placed)
    }

    fn cancel(&self, command: Cancel) -> Result<Placed, Infallible> { //~ 2
        Ok(Placed)
    }
}

fn main() {}
