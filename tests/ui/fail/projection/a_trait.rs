#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Clone for Rows {
    fn clone(&self) -> Self {
        Rows
    }
}

fn main() {}
