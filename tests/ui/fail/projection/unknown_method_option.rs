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
    #[projection(setpu)] //~
    fn create(&self) {}

    #[projection] //~
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
