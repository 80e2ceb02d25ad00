#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) -> u32 {
        1
    }
}

fn main() {}
