#![allow(unused)]

use eventsource_runtime::traced;

#[traced(root, parent = recipient)]
fn send(recipient: &str) {}

fn main() {}
