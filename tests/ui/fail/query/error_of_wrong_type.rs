#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::Deserialize;

#[derive(Debug)]
struct Missing;

// The compiler asks wherever the error must become that of the bus: of the type itself, of the handler, and of the bus.
#[derive(Query, Clone, Deserialize)]
#[query(output = Vec<String>, error = Missing)] //~
struct ByStatus;

struct Queries;

#[query_handler]
impl Queries {
    async fn by_status(&self, query: ByStatus) -> Result<Vec<String>, Missing> { //~
        Err(Missing)
    }
}

async fn used() {
    let queries = QueryBus::builder().handler(Queries).build(); //~
    match queries.execute(ByStatus).await {
        Err(QueryError::Rejected(Missing)) => {}
        answered => drop(answered.unwrap()),
    }
}

fn main() {}
