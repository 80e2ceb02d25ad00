#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
struct Send;

fn main() {}
