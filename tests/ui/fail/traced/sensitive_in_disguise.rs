#![allow(unused)]

use eventsource_runtime::dispatch::Rejected;
use eventsource_runtime::{Aggregate, Apply, Command, Event, traced};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Debug, Clone, Deserialize)]
struct Card(String);

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    order: u64,
    #[command(sensitive)]
    card: Card,
}

#[traced(attributes("card" = command.card.0.len()))] //~
fn rejected(command: &Rejected<Place>) {}

#[traced(attributes("order" = order, "card" = format!("{card:?}")))] //~
fn inline(Place { order, card }: &Place) {}

#[traced(attributes("command" = format!("{{}} {command:?}")))] //~
fn inline_whole(command: &Place) {}

#[traced(attributes("command" = std::format!("{:?}", command)))] //~
fn given_whole(command: &Place) {}

#[traced(attributes("number" = number.len()))] //~
fn nested(Place { card: Card(number), .. }: Place) {}

#[traced(attributes("card" = ?card, "command" = ?command))] //~ 2
fn bound(command @ Place { card, .. }: &Place) {}

fn main() {}
