#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("range" = range, "range.debug" = ?range))]
fn send(range: std::ops::Range<u8>) {}

fn main() {}
