#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    const MOST: u32 = 1;

    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
