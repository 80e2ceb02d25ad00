#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Noted;

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = std::fmt::Error, events(Placed))]
struct Order;
impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    order_id: String,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Order, name = "Place")]
struct Lay {
    #[command(id)]
    order_id: String,
}
#[command_handler]
impl Order {
    fn place(&self, _: Place) -> Result<Placed, std::fmt::Error> {
        Ok(Placed)
    }
    fn lay(&self, _: Lay) -> Result<Placed, std::fmt::Error> {
        Ok(Placed)
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Noted))]
struct Process;
impl Apply<Noted> for Process {
    fn apply(&mut self, _: Noted) {}
}

#[process_manager] //~
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}

    fn refused(&self, command: &Rejected<Place>) {}

    fn refused_too(&self, command: &Rejected<Lay>) {}
}

fn main() {}
