#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, fault = is_away(), events(Placed))] //~
struct Order;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed as Begun))] //~
struct Other;

fn main() {}
