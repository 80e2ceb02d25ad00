#![allow(unused)]

use std::future::{Ready, ready};

use eventsource_runtime::traced;

#[traced(covers = future)]
fn later() -> Ready<u8> { //~
    ready(1)
}

#[traced(covers = stream)]
fn numbers() -> Vec<u8> { //~
    Vec::new()
}

fn main() {}
