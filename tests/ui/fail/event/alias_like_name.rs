#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Sent", alias = "Sent")]
struct OrderShipped {}

fn main() {}
