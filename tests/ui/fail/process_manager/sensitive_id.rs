#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Paid {
    order_id: String,
    #[event(sensitive)]
    card: String,
}
#[derive(Event, Serialize, Deserialize)]
struct Refunded {
    order_id: String,
    #[event(sensitive)]
    card: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Paid, Refunded))]
struct Paying;
impl Apply<Paid> for Paying {
    fn apply(&mut self, _: Paid) {}
}
impl Apply<Refunded> for Paying {
    fn apply(&mut self, _: Refunded) {}
}

#[process_manager]
impl Paying {
    #[process_manager(id = event.card)] //~
    fn paid(&self, event: &Recorded<Paid>) {}
    #[process_manager(id = format!("{}-{}", event.order_id, event.card))] //~
    fn refunded(&self, event: &Recorded<Refunded>) {}
}

fn main() {}
