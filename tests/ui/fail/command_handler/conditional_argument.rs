#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    id: u64,
}

#[command_handler]
impl Order {
    fn place(
        &self,
        command: Place,
        #[cfg(all())] services: &u8, //~
        #[cfg_attr(all(), cfg(any()))] services: &u16, //~
    ) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
