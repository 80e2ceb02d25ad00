//! What an editor is asked about; `ask` says how.

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteTransaction;
use serde::{Deserialize, Serialize};

pub struct Limits {
    pub most_cents: u64,
}

#[derive(Event, Clone, Serialize, Deserialize)]
pub struct Opened;

#[derive(Event, Clone, Serialize, Deserialize)]
pub struct Deposited {
    #[event(attribute = "cents")]
    pub cents: u64, // of the event
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = /*?*/Refused, events(/*?*/Opened, /*?*/Deposited))] //? goes to pub struct Refused; offers Limits; reaches pub struct Deposited
pub struct Account {
    balance: u64,
}

impl Apply<Opened> for Account {
    fn apply(&mut self, _: Opened) {}
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.balance += event./*?*/cents; //? goes to // of the event
    }
}

#[derive(Debug)]
pub struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = /*?*/Account)] //? reaches pub struct Account
pub struct Deposit {
    #[command(id)]
    pub account: String, // of the deposit
    pub cents: u64, // of the deposit
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
pub struct Open {
    #[command(id)]
    pub account: String,
}

#[command_handler]
impl Account {
    #[traced(attributes("cents" = command./*?*/cents, "limit" = limits./*?*/most_cents))] //? goes to pub cents: u64, // of the deposit; offers most_cents
    async fn deposit(&self, command: Deposit, limits: &Limits) -> Result<Deposited, Refused> {
        let cents = command./*?*/cents; //? goes to pub cents: u64, // of the deposit
        if self./*?*/balance + cents > limits.most_cents { //? goes to balance: u64
            return Err(Refused);
        }
        Ok(Deposited { /*?*/cents }) //? reaches let cents
    }

    fn open(&self, command: /*?*/Open) -> Result<Option<Opened>, Refused> { //? reaches pub struct Open
        self./*?*/ //? offers balance
    }
}

pub struct Rows {
    pub table: String,
}

#[projection(name = "Rows", enable_tracing = self./*?*/table.is_empty())] //? goes to pub table
impl Rows {
    fn deposited(&self, event: &Recorded<Deposited>, tx: &/*?*/SqliteTransaction<'_>) -> Result<(), ProjectionError> { //? offers SqliteTransaction
        let cents = event./*?*/cents; //? goes to // of the event
        self./*?*/ //? offers table
    }

    fn opened(&self, event: &Recorded</*?*/Opened>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> { //? goes to pub struct Opened
        let _ = event./*?*/ //? offers aggregate_id
        Ok(())
    }
}

#[derive(Query, Deserialize)]
#[query(output = Vec</*?*/Total>)] //? goes to pub struct Total
pub struct Totals {
    pub least: u64,
}

#[derive(Serialize)]
pub struct Total {
    pub cents: u64, // of the total
}

#[query_handler]
impl Rows {
    #[traced(attributes("least" = query./*?*/least))] //? offers least
    fn totals(&self, query: /*?*/Totals) -> Result<Vec<Total>, Refused> { //? goes to pub struct Totals
        Ok(vec![Total { cents: query./*?*/least }]) //? goes to pub least
    }
}

#[process_manager]
impl Account {
    #[process_manager(id = event./*?*/cents)] //? goes to // of the event
    fn deposited(&self, event: &Recorded<Deposited>) -> Option<Open> {
        event./*?*/ //? offers cents
    }

    fn refused(&self, command: &Rejected</*?*/Deposit>) -> Option<Open> { //? goes to pub struct Deposit {
        Some(Open { account: command./*?*/account.clone() }) //? goes to pub account: String, // of the deposit
    }
}

pub struct Mail {
    pub host: String,
    pub traced: bool,
}

impl Mail {
    #[traced(attributes(/*?*/total, "host" = self./*?*/host.as_str(), length = text./*?*/len()), enable_tracing = self./*?*/traced)] //? offers total; goes to pub host; offers len; goes to pub traced
    pub async fn send(&self, text: String, total: u64) -> Result<u64, Refused> {
        let inner = total + 1;
        let host = self./*?*/host.len(); //? goes to pub host
        Ok(/*?*/inner) //? goes to let inner
    }

    #[traced(record("n" = result./*?*/is_ok()))] //? offers is_ok
    pub fn half(&self, total: Total) -> Result<u64, Refused> {
        total./*?*/ //? offers cents
    }

    #[traced]
    pub fn covered(&self, total: Total) -> impl Future<Output = u64> {
        let host = self./*?*/host.clone(); //? goes to pub host
        async move { total./*?*/ } //? offers cents
    }

    #[traced(atributes("x" = total.cents))] //? says unknown option `atributes`
    pub fn mistaken(&self, total: Total) -> u64 {
        total./*?*/ //? offers cents
    }
}

#[command_handler(nam = "x")] //? says unknown option `nam`
impl Mistaken {
    fn act(&self, command: Act) -> Result<Opened, Refused> {
        command./*?*/ //? offers number
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = Refused, event(Opened))] //? says `event` is not written like this
pub struct Mistaken {
    pub field: u64,
}

impl Apply<Opened> for Mistaken {
    fn apply(&mut self, _: Opened) {
        self./*?*/ //? offers field
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(agregate = Mistaken)] //? says unknown option `agregate`
pub struct Act {
    #[command(id)]
    pub number: String,
}

pub fn uses(account: &Account, event: AccountEvent, mail: &Mail) {
    account./*?*/deposit(todo!(), todo!()); //? goes to async fn deposit
    match event {
        AccountEvent::/*?*/Opened(_) => {} //? goes to events(
        AccountEvent::/*?*/ //? offers Deposited
    }
    mail./*?*/send(String::new(), 1); //? goes to pub async fn send
}
