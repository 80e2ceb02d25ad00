#![allow(unused)]

use eventsource_runtime::traced;

#[traced(parent = recipient)]
fn send(recipient: &str) {}

fn main() {}
