#![allow(unused)]

use eventsource_runtime::traced;

#[traced(links = [1, 2])]
fn send(recipient: &str) {}

fn main() {}
