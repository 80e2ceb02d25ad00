#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    #[process_manager(id = command.order_id)]
    fn refused(&self, command: &Rejected<Place>) {}
}

fn main() {}
