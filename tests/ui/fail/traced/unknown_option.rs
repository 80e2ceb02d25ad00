#![allow(unused)]

use eventsource_runtime::traced;

#[traced(atributes("recipient" = recipient))]
fn send(recipient: &str) {}

fn main() {}
