#![allow(unused)]

use eventsource_runtime::{Aggregate, Apply, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Lent {}

impl Apply<Lent> for Book {
    fn apply(&mut self, _: Lent) {}
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u64, events(Lent), snapshot(every = 2))]
#[serde(rename_all = "snake_case", untagged)] //~
enum Book {
    #[default]
    There,
    Lent {
        to: u64,
    },
    Returned {
        to: u64,
        late: Option<u32>,
    },
}

impl Apply<Lent> for Member {
    fn apply(&mut self, _: Lent) {}
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u64, events(Lent), snapshot(every = 2))]
enum Member {
    #[default]
    New,
    Reader {
        books: u32,
    },
    #[serde(untagged)] //~
    Former {
        books: Option<u32>,
    },
}

fn main() {}
