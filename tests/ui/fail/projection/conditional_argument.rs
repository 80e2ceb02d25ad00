#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    fn placed(&self, event: &Recorded<Placed>, #[cfg(any())] tx: &SqliteTransaction<'_>) {}
}

fn main() {}
