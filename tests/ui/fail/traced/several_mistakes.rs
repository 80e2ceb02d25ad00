#![allow(unused)]

use eventsource_runtime::traced;

#[traced(kind = "clinet", links = a?, color = 1, attributes(b.c))]
fn send(recipient: &str) {}

fn main() {}
