#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    fn place(&mut self, command: Place) -> Decided<Placed> {
        Ok(Placed)
    }
}

async fn dispatched(bus: eventsource_runtime::dispatch::CommandBus) {
    let _ = bus.dispatch(Place(1)).await;
}

fn main() {}
