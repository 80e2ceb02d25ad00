#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attr(recipient))]
fn send(recipient: &str) {}

fn main() {}
