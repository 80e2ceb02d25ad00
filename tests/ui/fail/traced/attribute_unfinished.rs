#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("a" =))]
fn send(recipient: &str) {}

fn main() {}
