//! Accounts, transfers between them, and the manager that carries them out.

use std::time::Duration;

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

// ---- Accounts ----

#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) cents: u64,
    pub(super) most: u64,
}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Withdrawn {
    pub(super) transfer: u64,
    pub(super) cents: u64,
}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Deposited {
    pub(super) transfer: u64,
    pub(super) cents: u64,
}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Returned {
    pub(super) transfer: u64,
    pub(super) cents: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Refused, events(Opened, Withdrawn, Deposited, Returned))]
pub(super) struct Account {
    pub(super) cents: u64,
    pub(super) most: u64,
}
impl Apply<Opened> for Account {
    fn apply(&mut self, event: Opened) {
        (self.cents, self.most) = (event.cents, event.most);
    }
}
impl Apply<Withdrawn> for Account {
    fn apply(&mut self, event: Withdrawn) {
        self.cents -= event.cents;
    }
}
impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.cents += event.cents;
    }
}
impl Apply<Returned> for Account {
    fn apply(&mut self, event: Returned) {
        self.cents += event.cents;
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is not enough on the account")]
    NotEnough,
    #[error("the account takes no more")]
    Full,
    #[error("the transfer is over")]
    Over,
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
pub(super) struct Open {
    #[command(id)]
    pub(super) account: u64,
    pub(super) cents: u64,
    pub(super) most: u64,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
pub(super) struct Withdraw {
    #[command(id)]
    pub(super) account: u64,
    pub(super) transfer: u64,
    pub(super) cents: u64,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
pub(super) struct Deposit {
    #[command(id)]
    pub(super) account: u64,
    pub(super) transfer: u64,
    pub(super) cents: u64,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
pub(super) struct GiveBack {
    #[command(id)]
    pub(super) account: u64,
    pub(super) transfer: u64,
    pub(super) cents: u64,
}

/// It does not know which transfers it has seen: that each takes place once is the manager's affair.
#[command_handler]
impl Account {
    fn open(&self, command: Open) -> Result<Opened, Refused> {
        Ok(Opened { cents: command.cents, most: command.most })
    }
    fn withdraw(&self, Withdraw { transfer, cents, .. }: Withdraw) -> Result<Withdrawn, Refused> {
        if cents > self.cents { Err(Refused::NotEnough) } else { Ok(Withdrawn { transfer, cents }) }
    }
    fn deposit(&self, Deposit { transfer, cents, .. }: Deposit) -> Result<Deposited, Refused> {
        if self.cents + cents > self.most { Err(Refused::Full) } else { Ok(Deposited { transfer, cents }) }
    }
    fn give_back(&self, GiveBack { transfer, cents, .. }: GiveBack) -> Result<Returned, Refused> {
        Ok(Returned { transfer, cents })
    }
}

// ---- Transfers ----

#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) cents: u64,
}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Done {}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Failed {}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Refused, events(Asked, Done, Failed))]
pub(super) struct Transfer {
    pub(super) ends: u32,
}
impl Apply<Asked> for Transfer {
    fn apply(&mut self, _: Asked) {}
}
impl Apply<Done> for Transfer {
    fn apply(&mut self, _: Done) {
        self.ends += 1;
    }
}
impl Apply<Failed> for Transfer {
    fn apply(&mut self, _: Failed) {
        self.ends += 1;
    }
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Transfer)]
pub(super) struct Ask {
    #[command(id)]
    pub(super) transfer: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) cents: u64,
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Transfer)]
pub(super) struct Finish {
    #[command(id)]
    pub(super) transfer: u64,
    pub(super) well: bool,
}
#[command_handler]
impl Transfer {
    fn ask(&self, Ask { from, to, cents, .. }: Ask) -> Result<Asked, Refused> {
        Ok(Asked { from, to, cents })
    }
    fn finish(&self, command: Finish) -> Result<(Option<Done>, Option<Failed>), Refused> {
        if self.ends > 0 {
            return Err(Refused::Over);
        }
        Ok((command.well.then_some(Done {}), (!command.well).then_some(Failed {})))
    }
}

// ---- The manager ----

pub(super) const LATE: Duration = Duration::from_mins(1);

#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) from: u64,
    pub(super) to: u64,
}
#[derive(Event, Clone, Serialize, Deserialize)]
pub(super) struct Late {}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Begun, Late))]
pub(super) struct Moving {
    pub(super) from: u64,
    pub(super) to: u64,
}
impl Apply<Begun> for Moving {
    fn apply(&mut self, event: Begun) {
        (self.from, self.to) = (event.from, event.to);
    }
}
impl Apply<Late> for Moving {
    fn apply(&mut self, _: Late) {}
}

#[process_manager]
impl Moving {
    fn asked(&self, event: &Recorded<Asked>) -> Result<Reaction<Self>, std::num::ParseIntError> {
        let (transfer, cents) = (event.aggregate_id().parse()?, event.cents);
        let begun = Reaction::new().record(Begun { from: event.from, to: event.to });
        Ok(begun.dispatch(Withdraw { account: event.from, transfer, cents }).record_after(LATE, Late {}))
    }

    fn not_withdrawn(&self, refused: &Rejected<Withdraw>) -> Finish {
        Finish { transfer: refused.transfer, well: false }
    }

    #[process_manager(id = event.transfer)]
    fn withdrawn(&self, event: &Recorded<Withdrawn>) -> Deposit {
        Deposit { account: self.to, transfer: event.transfer, cents: event.cents }
    }

    fn not_deposited(&self, refused: &Rejected<Deposit>) -> Reaction<Self> {
        let Deposit { transfer, cents, .. } = **refused;
        let back = GiveBack { account: self.from, transfer, cents };
        Reaction::new().dispatch(back).dispatch(Finish { transfer, well: false })
    }

    #[process_manager(id = event.transfer)]
    fn deposited(&self, event: &Recorded<Deposited>) -> Finish {
        Finish { transfer: event.transfer, well: true }
    }
}
