#![allow(unused)]

use std::pin::Pin;

use eventsource_runtime::traced;

trait Stream {
    type Item;
}

#[traced(record("items" = result.len()))]
fn numbers() -> Pin<Box<dyn Stream<Item = u8>>> {
    loop {}
}

fn main() {}
