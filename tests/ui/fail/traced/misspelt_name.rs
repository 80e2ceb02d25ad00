#![allow(unused)]

use eventsource_runtime::traced;

#[traced(nam = "mail.send")]
fn send() {}

fn main() {}
