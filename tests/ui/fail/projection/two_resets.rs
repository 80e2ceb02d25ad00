#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    #[projection(reset)]
    fn clear(&self) {}

    #[projection(reset)]
    fn clear_more(&self) {}

    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
