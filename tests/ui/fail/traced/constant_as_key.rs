#![allow(unused)]

use eventsource_runtime::traced;

const ORDER_ID: &str = "order.id";

mod keys {
    pub const ORDER: &str = "order";
}

#[traced(attributes(ORDER_ID = id, keys::ORDER = id))] //~ 2
fn read(id: u64) {}

fn main() {}
