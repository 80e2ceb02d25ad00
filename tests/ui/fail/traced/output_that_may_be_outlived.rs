#![allow(unused)]

use std::pin::Pin;

use eventsource_runtime::traced;

#[traced]
fn later<'a, T>(text: &'a str) -> Pin<Box<dyn Future<Output = Option<T>> + 'a>> {
    Box::pin(async move { None })
}

fn main() {}
