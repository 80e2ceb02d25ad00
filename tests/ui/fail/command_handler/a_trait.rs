#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Clone for Order {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
