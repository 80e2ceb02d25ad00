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
    fn placed(&self, event: Placed) {} //~

    fn shipped(&self, event: &Shipped) {} //~
}

fn main() {}
