#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

fn is_away(text: &str) -> bool {
    text.is_empty()
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, fault = is_away, events(Placed))]
struct Order;

fn main() {}
