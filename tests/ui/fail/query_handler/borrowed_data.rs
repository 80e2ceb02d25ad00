#![allow(unused)]

use eventsource_runtime::{Query, query_handler};
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct Count;

struct Orders<'a>(&'a str);

#[query_handler]
impl<'a> Orders<'a> { //~
    async fn count(&self, query: Count) -> Result<u64, String> {
        Ok(1)
    }
}

struct Others<'a>(&'a str);

#[query_handler]
impl Others<'_> { //~
    async fn count(&self, query: Count) -> Result<u64, String> {
        Ok(1)
    }
}

fn main() {}
