#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Alien;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
// The compiler asks twice: of the type itself, and of the id that is looked up by it.
#[command(aggregate = String)] //~ 2
struct Place {
    #[command(id)]
    id: u64,
}

fn main() {}
