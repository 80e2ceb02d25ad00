#![allow(unused)]

use eventsource_runtime::traced;

#[traced(record("length" = text.len()))]
fn send(text: String) {
    drop(text);
}

fn main() {}
