#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

fn is_away(text: &str) -> bool {
    text.is_empty()
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Refused, fault = is_away, events(Placed))]
struct Order;

fn main() {}
