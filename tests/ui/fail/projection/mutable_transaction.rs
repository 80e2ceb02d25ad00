#![allow(unused)]

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteTransaction;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    fn placed(&self, event: &Recorded<Placed>, tx: &mut SqliteTransaction<'_>) {}
}

fn main() {}
