#![allow(unused)]

use eventsource_runtime::traced;

#[traced(kind = "client", "send")]
fn send(recipient: &str) {}

fn main() {}
