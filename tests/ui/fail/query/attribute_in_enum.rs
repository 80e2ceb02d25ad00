#![allow(unused)]

use eventsource_runtime::Query;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
enum Orders {
    All {
        #[query(attribute)]
        status: String,
    },
}

fn main() {}
