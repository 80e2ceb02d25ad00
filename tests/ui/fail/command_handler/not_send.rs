#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[command_handler]
impl Order {
    async fn place(&self, command: Place) -> Decided<Placed> {
        let local = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(local);
        Ok(Placed)
    }
}

fn main() {}
