#![allow(unused)]

use eventsource_runtime::traced;

#[traced(record("code" = *result))] //~
fn stop() -> ! {
    std::process::exit(1)
}

#[traced(record("code" = *result))] //~
async fn stop_later() -> ! {
    std::process::exit(1)
}

fn main() {}
