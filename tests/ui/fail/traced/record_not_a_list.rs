#![allow(unused)]

use eventsource_runtime::traced;

#[traced(record)]
fn send(recipient: &str) {}

fn main() {}
