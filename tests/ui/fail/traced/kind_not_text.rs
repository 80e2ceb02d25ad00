#![allow(unused)]

use eventsource_runtime::traced;

#[traced(kind = client)]
fn send(recipient: &str) {}

fn main() {}
