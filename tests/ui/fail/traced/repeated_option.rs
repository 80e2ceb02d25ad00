#![allow(unused)]

use eventsource_runtime::traced;

#[traced("send", kind = "client", kind = "server")]
fn send(recipient: &str) {}

fn main() {}
