#![allow(unused)]

include!("../../setup/command_handler.rs");

trait Clock: Send + Sync {}

#[command_handler]
impl Order {
    fn place(&self, command: Place, clock: impl Clock) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
