#![allow(unused)]

use eventsource_runtime::traced;

#[traced(fields(recipient))]
fn send(recipient: &str) {}

fn main() {}
