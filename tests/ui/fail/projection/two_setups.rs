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
    #[projection(setup)]
    fn create(&self) {}

    #[projection(setup)] //~
    fn create_more(&self) {}

    #[projection(setup, reset)] //~
    fn clear(&self) {}

    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
