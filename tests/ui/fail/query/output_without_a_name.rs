#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = impl Sized)]
struct Orders {
    status: String,
}

fn main() {}
