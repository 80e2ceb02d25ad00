#![allow(unused)]

use eventsource_runtime::traced;

#[traced(kind = "clinet", links = a?, color = 1, attributes("b"))] //~ 4
fn send(recipient: &str) {}

fn main() {}
