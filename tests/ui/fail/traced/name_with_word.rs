#![allow(unused)]

use eventsource_runtime::traced;

#[traced(name = "mail.send")]
fn send(recipient: &str) {}

fn main() {}
