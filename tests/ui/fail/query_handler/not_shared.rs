#![allow(unused)]

use std::cell::Cell;
use std::convert::Infallible;

use eventsource_runtime::{Query, query_handler};
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Count;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct CountAgain;

struct Orders {
    asked: Cell<u64>,
}

#[query_handler]
impl Orders {
    async fn count(&self, query: Count) -> Result<u64, Infallible> {
        Ok(self.asked.get())
    }

    fn count_again(&self, query: CountAgain) -> Result<u64, Infallible> {
        Ok(self.asked.get())
    }
}

fn main() {}
