#![allow(unused)]

use eventsource_runtime::traced;

#[traced(skip(recipient))]
fn send(recipient: &str) {}

fn main() {}
