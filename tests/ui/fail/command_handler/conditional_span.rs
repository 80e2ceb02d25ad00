#![allow(unused)]

use eventsource_runtime::prelude::*;
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
struct Place {
    #[command(id)]
    id: u64,
}

#[command_handler]
impl Order {
    #[cfg_attr(all(), traced(attributes("order.id" = command.id)))]
    fn place(&self, command: Place) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
