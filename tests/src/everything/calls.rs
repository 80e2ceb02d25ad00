//! Calls of each component, to be counted what they cost.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_runtime::bus::{EventBus, InProcessBus, Message, Received, Relay, Traced};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{OnFailure, ProjectionStore};
use eventsource_runtime::store::{Filter, Memory, StreamId};
use uuid::Uuid;

use super::{Counter, Fussy, HowMany, Listener, OfQuery, Tally, Tell, Teller};
use crate::orders::{Order, OrderCancelled};
use crate::own_bus::{remote, routing};
use crate::placing::place;

/// What a call of each component allocates where nothing is instrumented: so much, and no more, where spans and metrics
/// are compiled out, and where they are off.
pub const ALLOCATED: [(&str, usize); 14] = [
    ("store", 5),
    ("store's feed", 5),
    ("repository", 8),
    ("command bus", 11),
    ("refused command", 21),
    ("snapshots", 17),
    ("load from a snapshot", 9),
    ("query bus", 2),
    ("projections", 33),
    ("process managers", 71),
    ("dead letters", 19),
    ("event bus", 11),
    ("broker", 31),
    ("relay", 61),
];

/// How often calls are made, and how many at a time: what tasks leave undone at the end of a call is done in the next.
const ROUNDS: usize = 24;
const AT_ONCE: usize = 8;

/// Components, and what a call of each allocates at the least, as a count of all allocations says: what keeps events
/// grows in some rounds, and the test's harness allocates in some, but neither in each.
///
/// The tasks of a runtime on one thread do the same in the same order, so that it can be counted; what a call costs
/// that waits for a server cannot.
///
/// # Panics
/// Calls of one component do not allocate alike.
pub async fn allocated(calls: impl Future<Output = Vec<Call>>, count: fn() -> usize) -> Vec<(&'static str, usize)> {
    let mut allocated = Vec::new();
    for mut call in calls.await {
        let mut least = usize::MAX;
        for _ in 0..ROUNDS {
            let before = count();
            for _ in 0..AT_ONCE {
                call.make().await;
            }
            least = least.min(count() - before);
        }
        assert_eq!(least % AT_ONCE, 0, "{}: the calls differ", call.component);
        allocated.push((call.component, least / AT_ONCE));
    }
    allocated
}

/// A call that can be made again and again.
pub struct Call {
    /// Whose it is.
    pub component: &'static str,
    make: Box<dyn FnMut() -> Pin<Box<dyn Future<Output = ()>>>>,
}

impl Call {
    fn new<F: Future<Output = ()> + 'static>(component: &'static str, mut make: impl FnMut() -> F + 'static) -> Self {
        Self { component, make: Box::new(move || Box::pin(make())) }
    }

    /// Makes the call, and waits until its work is done.
    pub async fn make(&mut self) {
        (self.make)().await;
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("component", &self.component).finish_non_exhaustive()
    }
}

/// Sets both switches of a component.
macro_rules! switched {
    ($on:expr, $component:expr) => {
        $component.enable_tracing($on).enable_metrics($on)
    };
}

/// The ids of aggregates: the same ones in each run, so that what keeps them grows alike.
fn ids() -> impl FnMut() -> Uuid {
    let mut last = 0;
    move || {
        last += 1;
        Uuid::from_u128(last)
    }
}

/// A call of each component, whose spans and metrics are on or off, on stores of one kind.
///
/// # Panics
/// A component does not work.
pub async fn calls<S>(store: impl Fn() -> S, on: bool) -> Vec<Call>
where
    S: EventStore + SnapshotStore + ProjectionStore<Backend = Memory>,
{
    let mut all = aggregates(&store(), on).await;
    all.push(refusals(&store(), on).await);
    all.extend(snapshots(&store(), on).await);
    all.push(queries(on));
    all.push(projections(&store(), on));
    all.push(managers(&store(), on));
    all.push(letters(&store(), on).await);
    all.push(messages("event bus", switched!(on, InProcessBus::new())).await);
    all.push(messages("broker", switched!(on, remote())).await);
    all.push(relay(&store(), on));
    all
}

fn bus<S: EventStore + SnapshotStore>(store: &S, on: bool) -> CommandBus {
    let tellers = switched!(on, Repository::<Teller, _>::new(store.clone()));
    switched!(on, CommandBus::builder()).aggregate(tellers).build()
}

async fn aggregates<S: EventStore + SnapshotStore>(store: &S, on: bool) -> Vec<Call> {
    let (id, mut next) = (Uuid::nil(), ids());
    let (stream, commands) = (StreamId::new("Teller", id), bus(store, on));
    commands.dispatch(Tell::to(id)).await.expect("a command that works");
    let (reads, feeds) = (store.clone(), store.clone());
    let tellers = switched!(on, Repository::<Teller, _>::new(store.clone()));
    let commands = Arc::new(commands);
    vec![
        Call::new("store", move || {
            let (reads, stream) = (reads.clone(), stream.clone());
            async move { drop(reads.read_stream(&stream, Version::START, 10).await.expect("a stream")) }
        }),
        Call::new("store's feed", move || {
            let feeds = feeds.clone();
            async move { drop(feeds.read_all(Position::START, &Filter::all(), 1).await.expect("a page")) }
        }),
        Call::new("repository", move || {
            let tellers = tellers.clone();
            async move {
                tellers.load(&id).await.expect("an aggregate");
                assert!(tellers.exists(&id).await.expect("a store that works"));
            }
        }),
        Call::new("command bus", move || {
            let (commands, command) = (Arc::clone(&commands), Tell::to(next()));
            async move { assert_eq!(commands.dispatch(command).await.expect("a command that works").version, 1) }
        }),
    ]
}

/// A command that its order refuses: it is placed already.
async fn refusals<S: EventStore + SnapshotStore>(store: &S, on: bool) -> Call {
    let orders = switched!(on, Repository::<Order, _>::new(store.clone()));
    let commands = Arc::new(switched!(on, CommandBus::builder()).aggregate(orders).build());
    let again = place(Uuid::nil());
    commands.dispatch(again.clone()).await.expect("a command that works");
    Call::new("refused command", move || {
        let (commands, again) = (Arc::clone(&commands), again.clone());
        async move { assert!(commands.dispatch(again).await.expect_err("it is refused").is_rejected()) }
    })
}

async fn snapshots<S: EventStore + SnapshotStore>(store: &S, on: bool) -> Vec<Call> {
    let (id, orders) = (Uuid::nil(), switched!(on, Repository::<Order, _>::new(store.clone())));
    let cancelled = OrderCancelled { reason: "too slow".into() };
    orders.append(&id, ExpectedVersion::NoStream, vec![cancelled]).await.expect("a store that works");
    orders.create_snapshot(&id).await.expect("a store that works");
    let loading = orders.clone();
    vec![
        Call::new("snapshots", move || {
            let orders = orders.clone();
            async move {
                orders.create_snapshot(&id).await.expect("a store that works");
                assert!(orders.snapshot_exists(&id).await.expect("a store that works"));
            }
        }),
        Call::new("load from a snapshot", move || {
            let loading = loading.clone();
            async move { drop(loading.load(&id).await.expect("an aggregate")) }
        }),
    ]
}

fn queries(on: bool) -> Call {
    let queries = switched!(on, QueryBus::builder()).handler(Counter(Arc::default())).build();
    let queries = Arc::new(queries);
    Call::new("query bus", move || {
        let queries = Arc::clone(&queries);
        async move { assert_eq!(queries.execute(HowMany { n: OfQuery(1) }).await.expect("a query that works"), 0) }
    })
}

fn projections<S: EventStore + SnapshotStore + ProjectionStore<Backend = Memory>>(store: &S, on: bool) -> Call {
    let count = Arc::new(AtomicUsize::new(0));
    let running = switched!(on, ProjectionRunner::new(store.clone())).projection(Tally(Arc::clone(&count))).spawn();
    let (running, commands, mut next) = (Arc::new(running), Arc::new(bus(store, on)), ids());
    Call::new("projections", move || {
        let (running, commands, command) = (Arc::clone(&running), Arc::clone(&commands), Tell::to(next()));
        async move {
            let committed = commands.dispatch(command).await.expect("a command that works");
            running.wait_for(committed.position).await.expect("a projection that works");
        }
    })
}

fn managers<S: EventStore + SnapshotStore + ProjectionStore<Backend = Memory>>(store: &S, on: bool) -> Call {
    let commands = bus(store, on);
    let managers = switched!(on, ProcessManagerRunner::new(store.clone(), commands.clone()));
    let (running, mut next) = (Arc::new(managers.process_manager::<Listener>().spawn()), ids());
    Call::new("process managers", move || {
        let (running, commands, command) = (Arc::clone(&running), commands.clone(), Tell::to(next()));
        async move {
            let committed = commands.dispatch(command).await.expect("a command that works");
            running.wait_for(committed.position).await.expect("a manager that works");
        }
    })
}

/// A letter that is tried again and stays one.
async fn letters<S: EventStore + SnapshotStore + ProjectionStore<Backend = Memory>>(store: &S, on: bool) -> Call {
    let (id, fussy) = (Uuid::nil(), Fussy(Arc::default()));
    let committed = bus(store, on).dispatch(Tell::to(id)).await.expect("a command that works");
    let failing = switched!(on, ProjectionRunner::new(store.clone())).max_retries(0).on_failure(OnFailure::DeadLetter);
    let failing = failing.projection(fussy.clone()).spawn();
    failing.wait_for(committed.position).await.expect("a projection that passes on");
    failing.shutdown().await.expect("projections that end");
    let letters = Arc::new(switched!(on, ProjectionRunner::new(store.clone())).dead_letters(fussy));
    let stream = StreamId::new("Teller", id);
    Call::new("dead letters", move || {
        let (letters, stream) = (Arc::clone(&letters), stream.clone());
        async move {
            letters.retry(&stream).await.expect_err("it fails again");
            assert_eq!(letters.list(Position::START, 10).await.expect("a list").len(), 1);
        }
    })
}

async fn messages<B: EventBus>(component: &'static str, bus: Traced<B>) -> Call {
    let running = bus.subscribe("listeners").handle(async |_: Received| Ok(())).await.expect("a subscription");
    let (running, published) = (Arc::new(running), Arc::new(AtomicUsize::new(0)));
    Call::new(component, move || {
        let (running, bus, published) = (Arc::clone(&running), bus.clone(), Arc::clone(&published));
        async move {
            let message = Message::new(StreamId::new("Teller", 7), "Told", "{}");
            bus.publish(message).await.expect("a publication");
            let all = published.fetch_add(1, Ordering::SeqCst) as u64 + 1;
            while running.tally().acknowledged < all {
                tokio::task::yield_now().await;
            }
        }
    })
}

fn relay<S: EventStore + SnapshotStore + ProjectionStore<Backend = Memory>>(store: &S, on: bool) -> Call {
    let running = switched!(on, Relay::new("to the bus", store.clone(), switched!(on, routing()))).spawn();
    let (running, commands, mut next) = (Arc::new(running), Arc::new(bus(store, on)), ids());
    Call::new("relay", move || {
        let (running, commands, command) = (Arc::clone(&running), Arc::clone(&commands), Tell::to(next()));
        async move {
            let committed = commands.dispatch(command).await.expect("a command that works");
            running.wait_for(committed.position).await.expect("a relay that works");
        }
    })
}
