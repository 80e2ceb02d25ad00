#![allow(unused)]

use eventsource_runtime::traced;

#[traced(colour = "red")]
fn send(recipient: &str) {}

fn main() {}
