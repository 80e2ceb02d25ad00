#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Laid", alias("Placed"))]
struct Laid;

struct Rows;

#[projection]
impl Rows {
    fn placed(&self, event: &Recorded<Placed>) {}

    fn laid(&self, event: &Recorded<Laid>) {}
}

fn main() {}
