#![allow(unused)]

include!("../../setup/process_manager.rs");

macro_rules! process {
    () => { Process };
}

#[process_manager]
impl process!() {
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
