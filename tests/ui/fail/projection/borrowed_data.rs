#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows<'a>(&'a str);

#[projection]
impl<'a> Rows<'a> {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
