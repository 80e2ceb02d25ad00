#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("a" = 1, recipient, "recipient" = 2))]
fn send(recipient: &str) {}

fn main() {}
