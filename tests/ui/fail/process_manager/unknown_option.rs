#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager(nmae = "process")]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
