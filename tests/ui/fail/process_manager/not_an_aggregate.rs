#![allow(unused)]

include!("../../setup/process_manager.rs");

struct Plain;

#[process_manager]
impl Plain {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
