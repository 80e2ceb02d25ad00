#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(attribute = "order.id")]
struct OrderShipped {}

fn main() {}
