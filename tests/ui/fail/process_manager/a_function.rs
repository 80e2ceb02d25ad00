#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
fn placed(event: &Recorded<Placed>) {}

fn main() {}
