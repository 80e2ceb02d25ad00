#![allow(unused)]

use eventsource_runtime::{Query};
use serde::{Deserialize, Serialize};

#[derive(Query, Deserialize)]
#[query(output = u32)]
struct ByCard {
    #[query(sensitive, attribute)]
    number: String,
}

fn main() {}
