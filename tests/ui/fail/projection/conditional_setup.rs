#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    #[cfg_attr(all(), projection(setup))]
    fn create(&self) {}

    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
