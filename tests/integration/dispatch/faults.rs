//! Handlers that fail before they can decide, which is no refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use eventsource_runtime::dispatch::DispatchJsonError;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Billed {}

#[derive(Event, Serialize, Deserialize)]
struct Charged {}

#[derive(Event, Serialize, Deserialize)]
struct GivenUp {}

#[derive(Debug, PartialEq, thiserror::Error)]
enum BankError {
    #[error("the account is overdrawn")]
    Overdrawn,
    #[error("the bank does not answer")]
    Away,
}

impl BankError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Away)
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = BankError, fault = BankError::is_fault, events(Billed, Charged))]
struct Bill;

impl Apply<Billed> for Bill {
    fn apply(&mut self, _: Billed) {}
}

impl Apply<Charged> for Bill {
    fn apply(&mut self, _: Charged) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Bill)]
struct MakeBill {
    #[command(id)]
    bill: String,
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Bill)]
struct Charge {
    #[command(id)]
    bill: String,
}

/// A bank that does not answer so many times, and where everybody is overdrawn whose bill says so.
#[derive(Clone, Default)]
struct Bank {
    away: Arc<AtomicU32>,
}

impl Bank {
    async fn charge(&self, bill: &str) -> Result<(), BankError> {
        tokio::task::yield_now().await;
        let is_away = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        match bill {
            _ if is_away => Err(BankError::Away),
            "overdrawn" => Err(BankError::Overdrawn),
            _ => Ok(()),
        }
    }
}

#[command_handler]
impl Bill {
    async fn make(&self, _: MakeBill, _: &Bank) -> Result<Billed, BankError> {
        Ok(Billed {})
    }

    async fn charge(&self, command: Charge, bank: &Bank) -> Result<Charged, BankError> {
        bank.charge(&command.bill).await?;
        Ok(Charged {})
    }
}

/// Charges each bill that is made.
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(GivenUp))]
struct Charging;

impl Apply<GivenUp> for Charging {
    fn apply(&mut self, _: GivenUp) {}
}

#[process_manager]
impl Charging {
    fn billed(&self, event: &Recorded<Billed>) -> Charge {
        Charge { bill: event.aggregate_id().to_owned() }
    }

    fn refused(&self, _: &Rejected<Charge>) -> Reaction<Self> {
        Reaction::new().record(GivenUp {})
    }
}

fn bills(store: &MemoryStore, bank: &Bank) -> CommandBus {
    let repository = Repository::<Bill, _>::new(store.clone()).with_services(bank.clone());
    CommandBus::builder().aggregate(repository).build()
}

async fn names(store: &MemoryStore, stream: &str) -> Vec<String> {
    let events = store.read_stream(&stream.parse().unwrap(), Version::START, 10).await.unwrap();
    events.iter().map(|event| event.event_type.to_string()).collect()
}

#[tokio::test]
async fn a_fault_of_a_handler_is_a_failure_and_no_refusal() {
    let recorder = Recorder::new();
    let (store, bank) = (MemoryStore::new(), Bank::default());
    let bus = bills(&store, &bank);
    let charge = Charge { bill: "ada".into() };
    let context = Context { command_id: Some(uuid::Uuid::now_v7()), ..Context::default() };
    bank.away.store(2, Ordering::SeqCst);
    recorder
        .run(async {
            let failed = bus.dispatch_with(charge.clone(), context.clone()).await.unwrap_err();
            assert!(matches!(failed, DispatchError::Failed(BankError::Away)) && !failed.is_rejected(), "{failed:?}");
            assert_eq!((failed.to_string(), &*failed.error_type()), ("the bank does not answer".into(), "Away"));
            let failed = bus.dispatch_json("Charge", br#"{"bill":"ada"}"#).await.unwrap_err();
            assert!(matches!(failed, DispatchJsonError::Failed { command: "Charge", .. }), "{failed:?}");
            assert_eq!((failed.is_rejected(), &*failed.error_type()), (false, "Away"));
            let refused = bus.dispatch(Charge { bill: "overdrawn".into() }).await.unwrap_err();
            assert!(matches!(refused, DispatchError::Rejected(BankError::Overdrawn)), "{refused:?}");
            let charged = bus.dispatch_with(charge, context).await.unwrap();
            assert_eq!((charged.events, charged.repeated), (1, false), "nothing had been decided");
        })
        .await;
    let rendered = recorder.trees().render();
    for span in ["command.Charge ERROR", "handle_command ERROR"] {
        assert_eq!(rendered.matches(span).count(), 2, "{rendered}");
    }
    assert_eq!(rendered.matches("cqrs.command.status=error").count(), 2, "{rendered}");
    assert_eq!(rendered.matches("error.type=Away").count(), 4, "{rendered}");
    assert_eq!(recorder.open_spans(), 0);
}

/// It compensated, since a bank was away for a moment.
#[tokio::test]
async fn a_process_manager_tries_a_command_again_that_failed_and_compensates_one_that_was_refused() {
    let (store, bank) = (MemoryStore::new(), Bank::default());
    let bus = bills(&store, &bank);
    bank.away.store(2, Ordering::SeqCst);
    for bill in ["ada", "overdrawn"] {
        bus.dispatch(MakeBill { bill: bill.into() }).await.unwrap();
    }
    let managers = ProcessManagerRunner::new(store.clone(), bus).process_manager::<Charging>().spawn();
    managers.wait_for(store.head().await.unwrap()).await.unwrap();
    managers.shutdown().await.unwrap();
    assert_eq!(names(&store, "Bill-ada").await, ["Billed", "Charged"]);
    assert_eq!(names(&store, "Bill-overdrawn").await, ["Billed"]);
    let given_up = |names: Vec<String>| names.iter().any(|name| name == "GivenUp");
    assert!(!given_up(names(&store, "Charging-ada").await));
    assert!(given_up(names(&store, "Charging-overdrawn").await));
}
