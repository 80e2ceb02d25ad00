#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("first" = recipient.chars().next()?))]
fn send(recipient: &str) -> Option<()> {
    None
}

fn main() {}
