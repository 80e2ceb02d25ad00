#![allow(unused)]

include!("../../setup/process_manager.rs");

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Order)]
struct Unheard {
    #[command(id)]
    order_id: String,
}

#[process_manager]
impl Process {
    fn placed(&self, event: &Recorded<Placed>) -> Reaction<Self> {
        Reaction::new().dispatch(Unheard { order_id: event.aggregate_id().into() })
    }
}

fn main() {}
