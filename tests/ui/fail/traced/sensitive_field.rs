#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Command, Event, Recorded, Sensitive, traced};
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

struct Follower;

impl Follower {
    #[traced(attributes("version" = event.version(), "card" = %event.card))] //~
    fn placed(&self, event: &Recorded<Placed>) {}
}

impl Place {
    #[traced(record("card" = self.card.len()))] //~
    fn check(&self) {}
}

#[traced(attributes("typed" = token, "shown" = %token, "debugged" = ?token))] //~ 2
fn charge(token: &Sensitive<String>) {}

fn main() {}
