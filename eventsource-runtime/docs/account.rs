// What examples of the documentation hide: an account that holds at most 1000 cents.

#[derive(Event, serde::Serialize, serde::Deserialize)]
struct Deposited {
    cents: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = TooMuch, events(Deposited))]
struct Account {
    cents: u64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.cents += event.cents;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an account holds at most 1000 cents")]
struct TooMuch;

#[derive(Command, Clone, serde::Deserialize)]
#[command(aggregate = Account)]
struct Deposit {
    #[command(id)]
    account: String,
    cents: u64,
}

#[command_handler]
impl Account {
    fn deposit(&self, command: Deposit) -> Result<Deposited, TooMuch> {
        if self.cents + command.cents > 1000 { Err(TooMuch) } else { Ok(Deposited { cents: command.cents }) }
    }
}
