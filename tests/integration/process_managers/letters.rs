//! Dead letters of a manager that several callers settle at once.

use std::sync::atomic::AtomicUsize;

use eventsource_runtime::dispatch::ManagerDeadLetters;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::StreamId;
use eventsource_tests::faulty::Faulty;
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::shipping::PaymentTaken;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

#[derive(Event, Serialize, Deserialize)]
struct Filled {}

#[derive(Event, Serialize, Deserialize)]
struct Reserved {}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = std::fmt::Error, events(Filled, Reserved))]
struct Shelf {
    is_filled: bool,
}

impl Apply<Filled> for Shelf {
    fn apply(&mut self, _: Filled) {
        self.is_filled = true;
    }
}

impl Apply<Reserved> for Shelf {
    fn apply(&mut self, _: Reserved) {
        self.is_filled = false;
    }
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Shelf)]
struct Reserve {
    #[command(id)]
    shelf: String,
}

#[command_handler]
impl Shelf {
    fn reserve(&self, _: Reserve) -> Result<Reserved, std::fmt::Error> {
        if self.is_filled { Ok(Reserved {}) } else { Err(std::fmt::Error) }
    }
}

#[derive(Event, Serialize, Deserialize)]
struct GivenUp {}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(GivenUp))]
struct Reserving;

impl Apply<GivenUp> for Reserving {
    fn apply(&mut self, _: GivenUp) {}
}

#[process_manager]
impl Reserving {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Reserve {
        Reserve { shelf: "first".into() }
    }

    fn empty(&self, _: &Rejected<Reserve>) -> Reaction<Self> {
        Reaction::new().record(GivenUp {})
    }
}

fn shelves<S: EventStore + SnapshotStore>(store: &S) -> Repository<Shelf, S> {
    Repository::new(store.clone())
}

/// A store with a letter of the manager, and the letter's stream.
async fn with_letter() -> (MemoryStore, StreamId) {
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let lame = ProcessManagerRunner::new(store.clone(), commands(&store)).process_manager::<Reserving>();
    let managers = lame.max_retries(0).on_failure(OnFailure::DeadLetter).spawn();
    commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    (store, StreamId::new("Order", order))
}

fn letters<S: ProjectionStore + SnapshotStore>(store: &S) -> ManagerDeadLetters<S> {
    let bus = CommandBus::builder().aggregate(shelves(store)).build();
    ProcessManagerRunner::new(store.clone(), bus).dead_letters::<Reserving>()
}

/// The store as one sees it who comes second, and who is told when that one has asked for its turn.
fn second(store: &MemoryStore) -> (Hooked, Arc<Notify>) {
    let asked_twice = Arc::new(Notify::new());
    let hooked = Hooked::new(store, {
        let (asked_twice, times) = (Arc::clone(&asked_twice), Arc::new(AtomicUsize::new(0)));
        move |asked| {
            let is_turn = matches!(asked, Asked::Lease(part, _) if part.projection == "process_letters.Reserving");
            if is_turn && times.fetch_add(1, Ordering::SeqCst) == 1 {
                asked_twice.notify_one();
            }
            std::future::ready(())
        }
    });
    (hooked, asked_twice)
}

/// Waits until it is done, or waits for its turn.
async fn done_or_waits<T>(task: &mut JoinHandle<T>, waits: &Notify) -> Option<T> {
    tokio::select! {
        done = task => Some(done.unwrap()),
        () = waits.notified() => None,
    }
}

/// One was told of a refusal, which is stored nowhere, and before it had noted that the other dispatched the command
/// again, with success: the process gave up what it had.
#[tokio::test]
async fn two_who_retry_a_letter_do_so_one_after_the_other() {
    let ((store, stream), gate) = (with_letter().await, Arc::new(Gate::default()));
    let held_up = Hooked::new(&store, {
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            async move {
                if asked == Asked::Append("process_manager.reacted") {
                    gate.pass().await;
                }
            }
        }
    });
    let of = stream.clone();
    let first = tokio::spawn(async move { letters(&held_up).retry(&of).await.unwrap() });
    gate.reached().await;
    shelves(&store).append(&"first".into(), ExpectedVersion::NoStream, Filled {}).await.unwrap();
    let (hooked, waits) = second(&store);
    let mut other = tokio::spawn(async move { letters(&hooked).retry(&stream).await.unwrap() });
    let done = done_or_waits(&mut other, &waits).await;
    gate.open();
    let retried = first.await.unwrap() + if let Some(done) = done { done } else { other.await.unwrap() };
    assert_eq!((retried, done), (1, None));
    assert_eq!(names(&store, "Shelf").await, ["Filled"]);
    assert!(names(&store, "Reserving").await.contains(&GivenUp::NAME.to_owned()));
}

/// It was seen that there is a letter, then that was resolved, and then reacted to.
#[tokio::test]
async fn a_letter_is_not_resolved_while_it_is_retried() {
    let ((store, stream), gate) = (with_letter().await, Arc::new(Gate::default()));
    shelves(&store).append(&"first".into(), ExpectedVersion::NoStream, Filled {}).await.unwrap();
    let held_up = Hooked::new(&store, {
        let (gate, listings) = (Arc::clone(&gate), Arc::new(AtomicUsize::new(0)));
        move |asked| {
            // The first is the list of what there is to retry.
            let is_check = asked == (Asked::Letters { found: true }) && listings.fetch_add(1, Ordering::SeqCst) == 1;
            let gate = Arc::clone(&gate);
            async move {
                if is_check {
                    gate.pass().await;
                }
            }
        }
    });
    let position = letters(&store).list(Position::START, 1).await.unwrap()[0].position;
    let retried = tokio::spawn(async move { letters(&held_up).retry(&stream).await.unwrap() });
    gate.reached().await;
    let (hooked, waits) = second(&store);
    let mut resolved = tokio::spawn(async move { letters(&hooked).resolve(position).await.unwrap() });
    let done = done_or_waits(&mut resolved, &waits).await;
    gate.open();
    let retried = retried.await.unwrap();
    let resolved = if let Some(done) = done { done } else { resolved.await.unwrap() };
    assert_eq!((retried, resolved), (1, false));
    assert_eq!(names(&store, "Shelf").await, ["Filled", "Reserved"]);
}

/// What the process has reacted to since then came from another stream.
#[tokio::test]
async fn a_letter_is_reacted_to_though_its_process_has_gone_on() {
    let (store, order) = (Faulty::default(), Uuid::now_v7());
    store.refuse_appends_of(Some("process_manager.reacted"));
    let managers = runner(&store).max_retries(0).on_failure(OnFailure::DeadLetter).spawn();
    commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    store.refuse_appends_of(None);
    let payments = Repository::<Payment, _>::new(store.clone());
    payments.append(&order, ExpectedVersion::Any, PaymentTaken { cents: 1 }).await.unwrap();
    quiet(&managers, &store).await;
    assert!(names(&store, "Shipping").await.contains(&"ShippingPaid".to_owned()));
    let letters = runner(&store).dead_letters::<Shipping>();
    assert_eq!(letters.retry(&StreamId::new("Order", order)).await.unwrap(), 1);
    assert!(names(&store, "Shipping").await.contains(&"ShippingBegun".to_owned()));
    managers.shutdown().await.unwrap();
}
