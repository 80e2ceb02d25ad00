#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    fn place(&self, command: Place, clock: &u64) -> Decided<Placed> {
        Ok(Placed)
    }

    fn again(&self, command: Again, clock: &u32) -> Decided<Placed> {
        Ok(Placed)
    }
}

fn main() {}
