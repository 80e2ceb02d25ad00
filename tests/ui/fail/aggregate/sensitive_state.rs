#![allow(unused)]

use std::convert::Infallible;

use eventsource_runtime::{Aggregate, Apply, Command, Event, command_handler, traced};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

#[derive(Aggregate, Debug, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order {
    #[aggregate(sensitive)]
    card: String,
    total: u64,
}

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place(#[command(id)] u64);

#[command_handler]
impl Order {
    #[traced(attributes("total" = self.total, "card" = self.card.len()))] //~
    fn place(&self, command: Place) -> Result<Placed, Infallible> {
        Ok(Placed)
    }
}

#[traced(attributes("order" = ?order))] //~
fn print(order: &Order) {}

fn main() {}
