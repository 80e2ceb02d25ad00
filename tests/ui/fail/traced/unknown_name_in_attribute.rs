#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("recipient" = receiver))]
fn send(recipient: &str) {}

fn main() {}
