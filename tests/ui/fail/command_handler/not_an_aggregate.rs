#![allow(unused)]

include!("../../setup/command_handler.rs");

struct Plain;

#[command_handler]
impl Plain { //~
    fn place(&self, command: Place) -> Result<Placed, std::convert::Infallible> { //~ 2
        Ok(Placed)
    }
}

fn main() {}
