#![allow(unused)]

use std::convert::Infallible;

include!("../../setup/command_handler.rs");

struct Cancel(u64);

#[command_handler]
impl Order {
    fn place(&self, command: Place) -> Result<Placed, Infallible> {
        Ok(Placed)
    }

    fn cancel(&self, command: Cancel) -> Result<Placed, Infallible> { //~ 2
        Ok(Placed)
    }
}

fn main() {}
