#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event, command_handler};
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
#[command(aggregate = Order)]
struct Place(#[command(id)] u64);
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Again(#[command(id)] u64);

type Decided<T> = Result<T, std::convert::Infallible>;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Closed))]
struct Account;

#[derive(Event, Serialize, Deserialize)]
struct Closed;

impl Apply<Closed> for Account {
    fn apply(&mut self, _: Closed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Close(#[command(id)] u64);

#[command_handler]
impl Order {
    fn place(&self, command: Close) -> Decided<Placed> {
        Ok(Placed)
    }
}

fn main() {}
