#![allow(unused)]

use eventsource_runtime::traced;

#[traced(parent = { return })]
fn send(recipient: &str) {}

fn main() {}
