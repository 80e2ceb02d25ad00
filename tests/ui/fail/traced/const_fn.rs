#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
const fn send() {}

fn main() {}
