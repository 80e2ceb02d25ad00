#![allow(unused)]

use eventsource_runtime::traced;

#[traced(covers = future)]
fn stop() -> ! {
    std::process::exit(1)
}

fn main() {}
