#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64, error = String)]
struct Orders {
    status: String,
}

fn main() {}
