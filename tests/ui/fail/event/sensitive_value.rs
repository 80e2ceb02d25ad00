#![allow(unused)]

use eventsource_runtime::{Event, Sensitive};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct CardCharged {
    #[event(attribute = "card.number")]
    number: Sensitive<String>, //~
    #[event(attribute)]
    holder: Option<Sensitive<String>>, //~
}

fn main() {}
