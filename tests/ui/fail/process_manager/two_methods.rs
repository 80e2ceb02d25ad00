#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}

    fn again(&self, event: &Recorded<Placed>) {} //~

    fn refused(&self, command: &Rejected<Place>) {}

    fn refused_again(&self, command: &Rejected<Place>) {} //~
}

fn main() {}
