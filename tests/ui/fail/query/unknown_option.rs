#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64, fails = String)]
struct Orders {
    status: String,
}

fn main() {}
