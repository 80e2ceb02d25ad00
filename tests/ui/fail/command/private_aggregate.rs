#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event};
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
pub struct Place {
    #[command(id)]
    id: u64,
}

fn main() {}
