#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(version = 0)]
struct OrderShipped {}

fn main() {}
