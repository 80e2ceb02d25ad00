#![allow(unused)]

use eventsource_runtime::traced;

#[traced(covers = futures)] //~
fn later() -> impl Future<Output = ()> {
    async {}
}

#[traced(covers = "stream")] //~
fn text() -> impl Future<Output = ()> {
    async {}
}

fn main() {}
