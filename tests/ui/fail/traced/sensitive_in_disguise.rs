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

#[traced(attributes("command" = ?*command))] //~
fn behind(command: &Place) {}

#[traced(attributes("number" = (*command).card.0.len()))] //~
fn behind_in_parentheses(command: &Place) {}

macro_rules! shown {
    ($name:ident, $shown:expr) => {
        #[traced(attributes("command" = ?$shown))]
        fn given_by_a_macro($name: &Place) {}
    };
}
shown!(command, command); //~

#[traced(attributes("one" = ?commands[0], "number" = commands[0].card.0.len()))] //~ 2
fn one_of(commands: &[Place]) {}

#[traced(attributes(?list))] //~
fn listed(list: &[Place]) {}

#[traced(attributes("list" = ?(list, 1)))] //~
fn among_others(list: Vec<Place>) {}

#[traced(attributes(?array))] //~
fn arrayed(array: [&Place; 2]) {}

#[traced(attributes(?option))] //~
fn optional(option: Option<Place>) {}

type Batch = Vec<Option<Place>>;

#[traced(attributes(?batch))] //~
fn behind_an_alias(batch: Batch) {}

#[traced(attributes("number" = { command }.card.0.len()))] //~
fn in_a_block(command: &Place) {}

#[traced(attributes("number" = [command][0].clone().card.0.len()))] //~
fn copied_out_of_a_list(command: &Place) {}

fn main() {}
