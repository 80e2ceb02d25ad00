#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) -> Reaction<Self> {
        Reaction::new().record(Placed) //~
    }

    fn noted(&self, event: &Recorded<Noted>) -> Reaction<Self> {
        Reaction::new().record_after(std::time::Duration::from_secs(1), Placed) //~
    }
}

fn main() {}
