#![allow(unused)]

use eventsource_runtime::traced;

#[traced(err, ret, level = "debug")] //~ 3
fn read(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
