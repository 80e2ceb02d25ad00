#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

struct Clock;

#[command_handler]
impl Order {
    fn place(&self, clock: &Clock, command: Place) -> Decided<Placed> {
        Ok(Placed)
    }
}

fn main() {}
