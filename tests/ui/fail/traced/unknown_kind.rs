#![allow(unused)]

use eventsource_runtime::traced;

#[traced(kind = "clinet")]
fn send(recipient: &str) {}

fn main() {}
