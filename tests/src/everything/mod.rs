//! A program that uses each component once, with switches to turn, and counts which expressions its spans evaluate.

mod calls;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use eventsource_runtime::bus::{EventBus, InProcessBus, Message, Received, Relay, Traced};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{Filter, StreamId};
use eventsource_runtime::telemetry::{self, AttributeValue, Slot, stream_traced};
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::own_bus::{remote, routing};

pub use calls::{ALLOCATED, Call, allocated, calls};

/// The component whose spans are off, and the one whose metrics are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off {
    /// A component, or none.
    pub spans: &'static str,
    /// A component, or none.
    pub metrics: &'static str,
}

/// Sets both switches of a component.
macro_rules! switched {
    ($off:expr, $name:literal, $component:expr) => {
        $component.enable_tracing($off.spans != $name).enable_metrics($off.metrics != $name)
    };
}

/// The expressions that all of it evaluates where nothing is off.
pub const EXPRESSIONS: [&str; 11] = [
    "command",
    "command handler",
    "counting",
    "event",
    "option",
    "plain",
    "projection",
    "query",
    "query handler",
    "record",
    "waiting",
];

/// What [`run`] answers.
pub const ANSWERS: [&str; 11] = [
    "4",
    "4",
    "[0, 1, 2]",
    "7",
    "1 true 1",
    "Told of Teller",
    "Heard of Listener",
    "process_manager.reacted of Listener",
    "1 retried",
    "Tally { acknowledged: 1, dead_lettered: 0, unkeepable: 0 }",
    "Tally { acknowledged: 1, dead_lettered: 0, unkeepable: 0 }",
];

static EVALUATED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// An expression that a span shows.
pub fn evaluated<V>(what: &'static str, value: V) -> V {
    EVALUATED.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    value
}

/// What was evaluated since this was asked last, each once, in order.
pub fn evaluations() -> Vec<&'static str> {
    let mut evaluated = std::mem::take(&mut *EVALUATED.lock().unwrap_or_else(PoisonError::into_inner));
    evaluated.sort_unstable();
    evaluated.dedup();
    evaluated
}

/// A function with every kind of expression.
#[traced(
    "plain",
    enable_tracing = evaluated("option", true),
    attributes("length" = evaluated("plain", text.len()), "shown" = %evaluated("plain", "shown")),
    record("same" = evaluated("record", *result))
)]
#[must_use]
pub fn plain(text: &str) -> usize {
    text.len()
}

/// The same with an await in it.
#[traced("waiting", attributes("length" = evaluated("waiting", text.len())))]
pub async fn waiting(text: &str) -> usize {
    tokio::task::yield_now().await;
    current_span().record("half.way", 1);
    text.len()
}

#[traced("counting", attributes("upto" = evaluated("counting", upto)))]
fn counting(upto: u32) -> impl Stream<Item = u32> {
    stream::iter(0..upto)
}

macro_rules! shown {
    ($($name:ident $what:literal)*) => {
        $(
            /// A field that a span shows.
            #[derive(Clone, Serialize, Deserialize)]
            struct $name(u32);

            impl AttributeValue for $name {
                fn record(&self, slot: &mut Slot<'_>) {
                    evaluated($what, self.0).record(slot);
                }
            }
        )*
    };
}
shown!(OfCommand "command" OfEvent "event" OfQuery "query");

#[derive(Event, Serialize, Deserialize)]
struct Told {
    #[event(attribute = "told.n")]
    n: OfEvent,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Told))]
struct Teller;

impl Apply<Told> for Teller {
    fn apply(&mut self, _: Told) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Teller)]
struct Tell {
    #[command(id)]
    id: Uuid,
    #[command(attribute = "tell.n")]
    n: OfCommand,
}

impl Tell {
    fn to(id: Uuid) -> Self {
        Self { id, n: OfCommand(1) }
    }
}

#[command_handler]
impl Teller {
    #[traced(attributes("n" = evaluated("command handler", 1)), enable_tracing = evaluated("command handler", true))]
    fn tell(&self, _: Tell) -> Result<Told, Infallible> {
        Ok(Told { n: OfEvent(1) })
    }
}

#[derive(Query, Deserialize)]
#[query(output = usize)]
struct HowMany {
    #[query(attribute = "many.n")]
    n: OfQuery,
}

struct Counter(Arc<AtomicUsize>);

#[query_handler]
impl Counter {
    #[traced(attributes("n" = evaluated("query handler", 1)))]
    fn how_many(&self, _: HowMany) -> Result<usize, Infallible> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

struct Tally(Arc<AtomicUsize>);

#[projection]
impl Tally {
    #[traced(attributes("n" = evaluated("projection", event.n.0)))]
    fn told(&self, event: &Recorded<Told>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Fails until it is told to work.
#[derive(Clone)]
struct Fussy(Arc<AtomicBool>);

#[projection]
impl Fussy {
    fn told(&self, _: &Recorded<Told>) -> Result<(), ProjectionError> {
        if self.0.load(Ordering::SeqCst) { Ok(()) } else { Err(ProjectionError::new("not yet")) }
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Heard {}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Heard))]
struct Listener;

impl Apply<Heard> for Listener {
    fn apply(&mut self, _: Heard) {}
}

#[process_manager]
impl Listener {
    fn told(&self, _: &Recorded<Told>) -> Reaction<Self> {
        Reaction::new().record(Heard {})
    }
}

/// Runs all of it. What it answers does not depend on the switches, nor on whether there is telemetry at all; what it
/// returns besides keeps the gauge of the relay alive.
///
/// # Panics
/// A component does not work.
pub async fn run(off: Off) -> (Vec<String>, impl Sized) {
    let store = switched!(off, "store", MemoryStore::new());
    let mut answers = functions().await;
    let (told, seen) = (commands_and_projections(&store, off).await, store.clone().enable_tracing(false));
    answers.push(told);
    let page = seen.read_all(Position::START, &Filter::all(), 10).await.expect("a page");
    answers
        .extend(page.events.iter().map(|event| format!("{} of {}", event.event_type, event.stream.aggregate_type())));
    answers.push(letters(&seen, off).await);
    answers.push(on_bus(&switched!(off, "event bus", InProcessBus::new())).await);
    answers.push(on_bus(&switched!(off, "broker", remote())).await);
    let relay = switched!(off, "relay", Relay::new("to the bus", seen.clone(), routing())).spawn();
    relay.wait_for(seen.head().await.expect("a head")).await.expect("a relay that works");
    (answers, relay)
}

/// The part of it that is functions.
pub async fn functions() -> Vec<String> {
    let counted: Vec<u32> = stream_traced(counting(3)).collect().await;
    let by_hand = telemetry::span("by_hand").attribute("n", 1).in_scope(|| plain("by hand"));
    vec![plain("four").to_string(), waiting("four").await.to_string(), format!("{counted:?}"), by_hand.to_string()]
}

async fn commands_and_projections(store: &MemoryStore, off: Off) -> String {
    let (count, id) = (Arc::new(AtomicUsize::new(0)), Uuid::now_v7());
    let orders = switched!(off, "repository", Repository::<Teller, _>::new(store.clone()));
    let commands = switched!(off, "command bus", CommandBus::builder()).aggregate(orders.clone()).build();
    let queries = switched!(off, "query bus", QueryBus::builder()).handler(Counter(Arc::clone(&count))).build();
    let projections = switched!(off, "projections", ProjectionRunner::new(store.clone()));
    let projections = projections.projection(Tally(Arc::clone(&count))).spawn();
    let managers = switched!(off, "process managers", ProcessManagerRunner::new(store.clone(), commands.clone()));
    let managers = managers.process_manager::<Listener>().spawn();
    let committed = commands.dispatch(Tell::to(id)).await.expect("a command that works");
    projections.wait_for(committed.position).await.expect("a projection that works");
    managers.wait_for(committed.position).await.expect("a manager that works");
    projections.shutdown().await.expect("projections that end");
    managers.shutdown().await.expect("managers that end");
    let exists = orders.exists(&id).await.expect("a store that works");
    let many = queries.execute(HowMany { n: OfQuery(1) }).await.expect("a query that works");
    format!("{} {exists} {many}", committed.version)
}

async fn letters(store: &MemoryStore, off: Off) -> String {
    let fussy = Fussy(Arc::default());
    let quiet = ProjectionRunner::new(store.clone()).enable_tracing(false).enable_metrics(false).max_retries(0);
    let failing = quiet.on_failure(OnFailure::DeadLetter).projection(fussy.clone()).spawn();
    failing.wait_for(store.head().await.expect("a head")).await.expect("a projection that passes on");
    failing.shutdown().await.expect("projections that end");
    fussy.0.store(true, Ordering::SeqCst);
    let letters = switched!(off, "dead letters", ProjectionRunner::new(store.clone())).dead_letters(fussy);
    let letter = letters.list(Position::START, 1).await.expect("a list").pop().expect("a letter");
    let retried = letters.retry(&letter.stream).await.expect("a retry that works");
    format!("{retried} retried")
}

async fn on_bus<B: EventBus>(bus: &Traced<B>) -> String {
    let running = bus.subscribe("listeners").handle(async |_: Received| Ok(())).await.expect("a subscription");
    bus.publish(Message::new(StreamId::new("Teller", 7), "Told", "{}")).await.expect("a publication");
    while running.tally().acknowledged < 1 {
        tokio::task::yield_now().await;
    }
    let tally = running.shutdown().await.expect("a subscription that ends");
    format!("{tally:?}")
}
