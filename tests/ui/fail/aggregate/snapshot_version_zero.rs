#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Shipped;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}
impl Apply<Shipped> for Order {
    fn apply(&mut self, _: Shipped) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed), snapshot(every = 2, version = 0))]
struct Order;

fn main() {}
