#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    fn place(&self, command: Place) -> Decided<Placed> {
        Ok(Placed)
    }

    fn place(&self, command: Again) -> Decided<Placed> {
        Ok(Placed)
    }
}

fn main() {}
