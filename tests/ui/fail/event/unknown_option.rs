#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(verison = 2)]
struct OrderShipped {}

fn main() {}
