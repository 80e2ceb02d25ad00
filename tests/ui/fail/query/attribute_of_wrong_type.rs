#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Orders {
    #[query(attribute)]
    range: std::ops::Range<u8>,
}

fn main() {}
