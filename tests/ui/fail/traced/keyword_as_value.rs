#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes(type))]
fn ship(r#type: &str) {}

fn main() {}
