#![allow(unused)]

include!("../../setup/command_handler.rs");

trait Clock: Send + Sync {}
struct System;

#[command_handler]
impl Order {
    fn place(&self, command: Place, clock: &dyn Clock) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
