#![allow(unused)]

use eventsource_runtime::traced;

fn is_fault(error: &std::fmt::Error) -> bool {
    true
}

#[traced(fault = is_fault)] //~
fn sync(text: &str) -> usize {
    text.len()
}

#[traced(fault = |error| error.is_fatal())] //~
async fn later(text: &str) -> Option<usize> {
    None
}

fn main() {}
