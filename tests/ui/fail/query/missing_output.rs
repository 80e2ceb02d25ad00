#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]

struct Orders {
    status: String,
}

fn main() {}
