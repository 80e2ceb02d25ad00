#![allow(unused)]

include!("../../setup/command_handler.rs");

type Decided<T> = Result<T, std::convert::Infallible>;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Closed))]
struct Account;

#[derive(Event, Serialize, Deserialize)]
struct Closed;

impl Apply<Closed> for Account {
    fn apply(&mut self, _: Closed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Close(#[command(id)] u64);

#[command_handler]
impl Order {
    fn place(&self, command: Close) -> Decided<Placed> {
        Ok(Placed)
    }
}

fn main() {}
