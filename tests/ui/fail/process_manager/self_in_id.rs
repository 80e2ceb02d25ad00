#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    #[process_manager(id = self.order)]
    fn placed(&self, event: &Recorded<Placed>) {}
}

fn main() {}
