#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    const LIMIT: u8 = 1;

    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
