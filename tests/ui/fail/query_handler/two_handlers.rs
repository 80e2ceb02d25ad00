#![allow(unused)]

use eventsource_runtime::{Query, query_handler};
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Count;

struct Orders;

#[query_handler]
impl Orders {
    fn r#count(&self, query: Count) -> Result<u64, String> {
        Ok(1)
    }

    fn again(&self, query: Count) -> Result<u64, String> {
        Ok(2)
    }
}

fn main() {}
