#![allow(unused)]

use eventsource_runtime::traced;

#[traced(covers = stream)]
fn nothing() {}

fn main() {}
