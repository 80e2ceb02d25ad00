#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
enum OrderShipped {
    At(#[event(attribute = "at")] u64),
}

fn main() {}
