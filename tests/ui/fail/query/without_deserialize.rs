#![allow(unused)]

use eventsource_runtime::Query;

#[derive(Query)]
#[query(output = u64)]
struct Count;

fn main() {}
