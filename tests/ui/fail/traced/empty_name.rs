#![allow(unused)]

use eventsource_runtime::traced;

#[traced("")]
fn send(recipient: &str) {}

fn main() {}
