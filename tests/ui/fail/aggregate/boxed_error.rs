#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Box<dyn std::error::Error>, events(Placed))]
struct Order;

fn main() {}
