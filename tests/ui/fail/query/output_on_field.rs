#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Orders {
    #[query(output = u64)]
    status: String,
}

fn main() {}
