#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("id" = id, "kind" = "a"), record("kind" = "b", "length" = result.len(), "id" = 7))] //~ 2
fn read(id: u64) -> String {
    String::new()
}

fn main() {}
