#![allow(unused)]

use eventsource_runtime::traced;

#[traced("mail.send" kind = "client")]
fn send(recipient: &str) {}

fn main() {}
