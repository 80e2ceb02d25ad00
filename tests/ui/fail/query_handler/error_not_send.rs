#![allow(unused)]

use eventsource_runtime::{Query, query_handler};
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Count;

struct Orders;

#[query_handler]
impl Orders {
    fn count(&self, query: Count) -> Result<u64, std::rc::Rc<str>> {
        Ok(1)
    }
}

fn main() {}
