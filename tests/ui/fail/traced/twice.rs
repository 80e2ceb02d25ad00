#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
#[traced("send")]
fn send(recipient: &str) {}

fn main() {}
