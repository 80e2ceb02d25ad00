#![allow(unused)]

use eventsource_runtime::Event;

#[derive(Event)]
union OrderShipped {
    carrier: u64,
}

fn main() {}
