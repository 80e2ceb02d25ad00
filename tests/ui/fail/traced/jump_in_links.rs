#![allow(unused)]

use eventsource_runtime::traced;

#[traced(links = recipient.chars().next()?)]
fn send(recipient: &str) {}

fn main() {}
