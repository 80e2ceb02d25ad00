#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Lent {}

impl Apply<Lent> for Member {
    fn apply(&mut self, _: Lent) {}
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u64, events(Lent), snapshot(every = 2))]
struct Member {
    #[serde(rename = "of", default)]
    name: String,
    #[serde(default, skip)] //~
    lent: u32,
    #[serde(skip_deserializing)] //~
    returned: u32,
    #[serde(skip_serializing, default)] //~
    kept: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Apply<Lent> for Book {
    fn apply(&mut self, _: Lent) {}
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u64, events(Lent), snapshot(every = 2))]
enum Book {
    #[default]
    There,
    #[serde(rename = "away")]
    Lent {
        to: u64,
        #[serde(skip)] //~
        times: u32,
    },
    Lost(#[serde(skip_deserializing)] u32), //~
}

fn main() {}
