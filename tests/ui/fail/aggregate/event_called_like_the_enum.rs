#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct OrderEvent;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(OrderEvent))]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: OrderEvent) {}
}

fn main() {}
