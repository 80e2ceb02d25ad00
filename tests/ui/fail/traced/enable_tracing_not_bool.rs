#![allow(unused)]

use eventsource_runtime::traced;

#[traced(enable_tracing = recipient.len())]
fn send(recipient: &str) {}

fn main() {}
