#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes = recipient)]
fn send(recipient: &str) {}

fn main() {}
