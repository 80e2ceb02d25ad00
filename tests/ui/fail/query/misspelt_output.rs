#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(ouput = u64)]
struct Orders {
    status: String,
}

fn main() {}
