#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

trait Rows: Send + Sync {}

#[projection]
impl dyn Rows {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
