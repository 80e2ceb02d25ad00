#![allow(unused)]

use eventsource_runtime::traced;

#[traced(7)]
fn send(recipient: &str) {}

fn main() {}
