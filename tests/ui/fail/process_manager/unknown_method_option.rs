#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    #[process_manager(ids = event.aggregate_id())] //~
    fn placed(&self, event: &Recorded<Placed>) {}

    #[process_manager] //~
    fn noted(&self, event: &Recorded<Noted>) {}
}

fn main() {}
