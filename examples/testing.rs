//! How to test an application: its decisions without a store, its traces without a collector.
//!
//! In an application these functions are tests, under `#[test]` and `#[tokio::test]`; here `main` runs them.

use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::testing::{TraceRecorder, given, stored};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Opened {
    owner: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(version = 2, upcast(1 => without_fee))] // version 1 had no fee
struct Withdrawn {
    cents: u64,
    fee: u64,
}

fn without_fee(mut payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let withdrawn = payload.as_object_mut().ok_or_else(|| UpcastError::new("a withdrawal is an object"))?;
    withdrawn.insert("fee".into(), 0.into());
    Ok(payload)
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = String, error = Refusal, events(Opened, Withdrawn), snapshot(every = 100))]
struct Account {
    withdrawn: u64,
}

impl Apply<Opened> for Account {
    fn apply(&mut self, _: Opened) {}
}

impl Apply<Withdrawn> for Account {
    fn apply(&mut self, event: Withdrawn) {
        self.withdrawn += event.cents + event.fee;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("no more than {limit} cents in all")]
    Limit { limit: u64 },
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Withdraw {
    #[command(id)]
    account: String,
    #[command(attribute = "account.cents")]
    cents: u64,
}

/// What the bank asks for, which the account need not know.
struct Fees {
    each: u64,
}

#[command_handler]
impl Account {
    fn withdraw(&self, command: Withdraw, fees: &Fees) -> Result<Withdrawn, Refusal> {
        if self.withdrawn + command.cents + fees.each > 1000 {
            return Err(Refusal::Limit { limit: 1000 });
        }
        Ok(Withdrawn { cents: command.cents, fee: fees.each })
    }
}

fn withdraw(cents: u64) -> Withdraw {
    Withdraw { account: "ada".into(), cents }
}

/// Given past events, when a command arrives, then these events follow: no store, no runtime, no trace. A handler that
/// awaits something takes `.when_async(command).await` instead.
fn the_limit_includes_the_fees() {
    given::<Account>(Opened { owner: "Ada".into() })
        .with_services(Fees { each: 1 })
        .when(withdraw(600))
        .then(Withdrawn { cents: 600, fee: 1 })
        .when(withdraw(399))
        .then_rejected(Refusal::Limit { limit: 1000 })
        .when(withdraw(398))
        .then(Withdrawn { cents: 398, fee: 1 });
}

/// What was stored by an earlier version is read as a store reads it.
fn an_old_withdrawal_had_no_fee() {
    let old = stored::<Withdrawn>(1, r#"{"cents":5}"#).expect("version 1 can be read");
    assert_eq!((old.cents, old.fee), (5, 0));
}

/// What a failing test prints: the events side by side, one field per line.
fn a_failure_shows_the_difference() {
    let wrong = std::panic::catch_unwind(|| {
        given::<Account>(()).with_services(Fees { each: 1 }).when(withdraw(5)).then(Withdrawn { cents: 5, fee: 2 })
    });
    let said = wrong.expect_err("the fee is 1").downcast::<String>().expect("a panic with a text");
    println!("{said}");
    assert!(said.contains("  -   \"fee\": 2\n  +   \"fee\": 1\n"));
}

/// The spans of a command, as a tree: only what it names must be present.
async fn a_withdrawal_leaves_this_trace() {
    let accounts = Repository::<Account, _>::new(MemoryStore::new()).with_services(Fees { each: 1 });
    let commands = CommandBus::builder().aggregate(accounts).build();

    let recorder = TraceRecorder::new();
    let refused = recorder.run(async {
        commands.dispatch(withdraw(600)).await.expect("it is within the limit");
        commands.dispatch(withdraw(600)).await
    });
    assert!(refused.await.is_err_and(|error| error.is_rejected()));
    // A starting point for a new test.
    println!("{}", recorder.tree());
    recorder.expect(
        "
        command.Withdraw
          . account.cents = 600
          . cqrs.command.status = success
          load_aggregate
            . eventsource.snapshot.used = false
            ...
          handle_command
            ! domain_event_produced
          persist_events
            event_store.append INTERNAL
              . eventsource.stream.id = Account-*
        command.Withdraw
          . cqrs.command.status = rejected
          . error.type = Limit
          load_aggregate
            ...
          handle_command
        ",
    );
}

#[tokio::main]
async fn main() {
    the_limit_includes_the_fees();
    an_old_withdrawal_had_no_fee();
    // The panic is the point here; its usual report would look like a failure.
    std::panic::set_hook(Box::new(|_| ()));
    a_failure_shows_the_difference();
    drop(std::panic::take_hook());
    tokio::time::timeout(Duration::from_secs(10), a_withdrawal_leaves_this_trace()).await.expect("it does not hang");
    println!("all as expected");
}
