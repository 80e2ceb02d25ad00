#![allow(unused)]

use std::future::{Future, ready};
use std::pin::Pin;

use eventsource_runtime::traced;

#[traced(covers = stream)] //~
fn later() -> impl Future<Output = u8> {
    ready(1)
}

#[traced(covers = stream)] //~
fn boxed() -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(ready(1))
}

fn main() {}
