#![allow(unused)]

use eventsource_runtime::store::{MemoryTransaction, SqliteTransaction};
use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;
#[derive(Event, Serialize, Deserialize)]
struct Shipped;

struct Rows;

#[projection]
impl Rows {
    fn placed(&self, event: &Recorded<Placed>, tx: &SqliteTransaction<'_>) {}

    fn shipped(&self, event: &Recorded<Shipped>, tx: &MemoryTransaction) {}
}

fn main() {}
