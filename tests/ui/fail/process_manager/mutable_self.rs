#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    fn placed(&mut self, event: &Recorded<Placed>) {} //~

    fn noted(event: &Recorded<Noted>) {} //~
}

fn main() {}
