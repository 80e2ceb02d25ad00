#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("a" = { continue }))]
fn send(recipient: &str) {}

fn main() {}
