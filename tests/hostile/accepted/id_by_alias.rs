//! A command's id whose type is named through its aggregate.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

type OrderId = <Order as eventsource_runtime::Aggregate>::Id;

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    order: OrderId,
}

pub(super) fn main() {
    assert_eq!(Place { order: "a".to_owned() }.id(), "a");
}
