//! What can be switched off while the program runs, and what then remains of one command.
//!
//! Three switches are outside the program: without the feature `otel` the macros leave the bare code, with
//! `OTEL_SDK_DISABLED=true` in its environment it has no spans, and `OTEL_TRACES_SAMPLER` decides for each trace.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry;
use eventsource_runtime::testing::TraceRecorder;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Deposited {
    cents: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Deposited))]
struct Account {
    cents: u64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.cents += event.cents;
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Deposit {
    #[command(id)]
    account: String,
    cents: u64,
}

#[command_handler]
impl Account {
    fn deposit(&self, command: Deposit) -> Result<Deposited, Infallible> {
        Ok(Deposited { cents: interest(self.cents) + command.cents })
    }
}

/// The application's own switch, for one function and everything below it.
static INTEREST: AtomicBool = AtomicBool::new(true);

#[traced(enable_tracing = INTEREST.load(Ordering::Relaxed), attributes("rate" = rate()))]
fn interest(cents: u64) -> u64 {
    cents * rate() / 100
}

#[traced]
fn rate() -> u64 {
    2
}

/// Dispatches one command, and shows its spans.
async fn show(title: &str, commands: &CommandBus) {
    let recorder = TraceRecorder::new();
    let deposited = recorder.run(commands.dispatch(Deposit { account: "ada".into(), cents: 500 })).await;
    println!("== {title}");
    for line in recorder.tree().lines().filter(|line| !line.trim_start().starts_with(['.', '!'])) {
        println!("{line}");
    }
    assert!(deposited.is_ok(), "what is traced changes nothing of what is done");
}

fn commands(store: MemoryStore, of_repository: bool, of_bus: bool) -> CommandBus {
    let accounts = Repository::<Account, _>::new(store).enable_tracing(of_repository);
    CommandBus::builder().aggregate(accounts).enable_tracing(of_bus).build()
}

#[tokio::main]
async fn main() {
    let all = commands(MemoryStore::new(), true, true);
    show("everything", &all).await;

    show("without the store", &commands(MemoryStore::new().enable_tracing(false), true, true)).await;
    show("without the repository and what is below it", &commands(MemoryStore::new(), false, true)).await;
    show("without the bus, and so without all of it", &commands(MemoryStore::new(), true, false)).await;

    INTEREST.store(false, Ordering::Relaxed);
    show("without one function", &all).await;
    INTEREST.store(true, Ordering::Relaxed);

    telemetry::set_enabled(false);
    show("without any span of the process", &all).await;
    telemetry::set_enabled(true);
}
