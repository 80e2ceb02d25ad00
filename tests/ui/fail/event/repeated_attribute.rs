#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]

struct OrderShipped {
    #[event(attribute = "order.id")]
    id: u64,
    #[event(attribute = "order.id")]
    other: u64,
}

fn main() {}
