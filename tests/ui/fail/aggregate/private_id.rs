#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct Placed;

#[derive(Clone, Serialize, Deserialize)]
struct Number(u64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = Number, events(Placed))]
pub struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

fn main() {}
