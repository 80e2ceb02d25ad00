#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Shipped;

impl<T> Apply<Placed> for Order<T> {
    fn apply(&mut self, _: Placed) {}
}
impl<T> Apply<Shipped> for Order<T> {
    fn apply(&mut self, _: Shipped) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order<T>(T);

fn main() {}
