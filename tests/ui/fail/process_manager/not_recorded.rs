#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    fn placed(&self, event: &Placed) {} //~

    fn refused(&self, command: Rejected<Place>) {} //~
}

fn main() {}
