#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Shipped;

struct Rows;

#[projection]
impl Rows {
    fn placed(&self, event: &Recorded<Placed>) {}

    fn placed(&self, event: &Recorded<Shipped>) {}
}

fn main() {}
