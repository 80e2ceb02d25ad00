#![allow(unused)]

use eventsource_runtime::{Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct CardCharged {
    #[event(attribute = "card.number", sensitive)] //~
    number: String,
    #[event(sensitive)]
    #[event(attribute)] //~
    holder: String,
}

fn main() {}
