#![allow(unused)]

include!("../../setup/process_manager.rs");

#[derive(Event, Serialize, Deserialize)]
#[event(name = "Placed")]
struct Also;

#[process_manager]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) {}

    fn also(&self, event: &Recorded<Also>) {}
}

fn main() {}
