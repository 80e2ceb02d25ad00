#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]

struct OrderShipped {
    #[event(attribute = "order.lines")]
    lines: Vec<u32>,
}

fn main() {}
