#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager(enable_tracing = "yes")]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
