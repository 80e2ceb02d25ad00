#![allow(unused)]

use eventsource_runtime::traced;

#[traced(enable_tracing = return, attributes("a" = { break; }))] //~ 2
fn send(recipient: &str) {}

fn main() {}
