#![allow(unused)]

include!("../../setup/command_handler.rs");

trait Clock: Send + Sync {}
struct System;

#[command_handler]
impl Order {
    #[traced(enable_tracing = command.0 > 1 && clock.on)]
    fn place(&self, command: Place, clock: &System) -> Result<Placed, std::convert::Infallible> {
        Ok(Placed)
    }
}

fn main() {}
