#![allow(unused)]

use eventsource_runtime::traced;

#[traced(covers = future)]
async fn later() {}

fn main() {}
