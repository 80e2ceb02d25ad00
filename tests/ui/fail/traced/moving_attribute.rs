#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("bytes" = text.into_bytes().len()))]
fn send(text: String) {}

fn main() {}
