#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    async fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
