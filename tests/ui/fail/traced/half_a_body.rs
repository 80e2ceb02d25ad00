#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
fn send() -> u8 {
    let sent =
}

fn main() {}
