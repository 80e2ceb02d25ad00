#![allow(unused)]

use eventsource_runtime::traced;

#[traced("mail.send", "send")]
fn send(recipient: &str) {}

fn main() {}
