#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("taken" = list.pop().is_some()))]
fn keep(list: &mut Vec<u8>) {}

fn main() {}
