// What a process manager needs besides its own block.

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
#[command_handler]
impl Order {
    fn place(&self, _: Place) -> Result<Placed, std::fmt::Error> {
        Ok(Placed)
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Noted))]
struct Process;
impl Apply<Noted> for Process {
    fn apply(&mut self, _: Noted) {}
}
