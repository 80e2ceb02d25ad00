#![allow(unused)]

use eventsource_runtime::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(version = 2, upcast(1 => step()))]
struct OrderShipped {}

fn step(payload: serde_json::Value) -> Result<serde_json::Value, eventsource_runtime::UpcastError> {
    Ok(payload)
}

fn main() {}
