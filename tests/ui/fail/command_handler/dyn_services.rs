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
struct Place(#[command(id)] u64);

trait Clock: Send + Sync {}
struct System;

#[command_handler]
impl Order {
    fn place(&self, command: Place, clock: &dyn Clock) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
