#![allow(unused)]

use eventsource_runtime::traced;

#[traced(record("text" = text))]
fn later(text: &'static str) -> impl Future<Output = u8> {
    async { 1 }
}

fn main() {}
