#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event, command_handler};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed {
    #[event(sensitive)]
    card: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    order: u64,
    #[command(sensitive)]
    card: String,
}
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Again(#[command(id)] u64, #[command(sensitive)] String);

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    #[traced(attributes("order.id" = command.order, "card.first" = command.card.chars().next(), "all" = ?command))] //~ 2
    fn place(&self, command: Place) -> Decided<Placed> {
        Ok(Placed { card: command.card })
    }

    #[traced(attributes("order.id" = id, "card" = format!("{}", card)))] //~
    fn again(&self, Again(id, card): Again) -> Decided<Placed> {
        Ok(Placed { card })
    }
}

fn main() {}
