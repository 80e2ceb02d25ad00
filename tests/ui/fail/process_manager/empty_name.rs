#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager(name = "")]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
