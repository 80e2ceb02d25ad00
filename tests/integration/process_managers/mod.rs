//! Process managers: what they dispatch, when, how often, and how it can be followed.

mod alone;
mod crashes;
mod cycles;
mod failing;
mod held_up;
mod letters;
mod moments;
mod refused;
mod set_back;
mod starts;
mod traces;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, Received, Relay};
use eventsource_runtime::clock::Clock;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{ProjectionStore, Projections};
use eventsource_runtime::store::Filter;
use eventsource_runtime::{Event, StoredEvent};
use eventsource_tests::clocks::Moved;
use eventsource_tests::own_bus::remote;
use eventsource_tests::shipping::{
    Order, OrderCancelled, OrderPlaced, OrderStatus, Payment, PlaceOrder, SettlePayment, Shipping, TIME_TO_PAY,
    TimeToPayOver, commands,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::sqlite;

fn place(order_id: Uuid, customer: &str, address: &str) -> PlaceOrder {
    PlaceOrder { order_id, customer: customer.into(), cents: 4200, address: address.into() }
}

fn runner<S: ProjectionStore + SnapshotStore>(store: &S) -> ProcessManagerRunner<S> {
    ProcessManagerRunner::new(store.clone(), commands(store)).process_manager::<Shipping>()
}

/// Waits until nothing follows any more.
async fn quiet<S: EventStore>(managers: &Projections, store: &S) {
    loop {
        let head = store.head().await.unwrap();
        managers.wait_for(head).await.unwrap();
        if store.head().await.unwrap() == head {
            return;
        }
    }
}

async fn all_events<S: EventStore>(store: &S) -> Vec<StoredEvent> {
    let (mut events, mut after) = (Vec::new(), Position::START);
    loop {
        let page = store.read_all(after, &Filter::all(), 1000).await.unwrap();
        if page.scanned == after {
            return events;
        }
        after = page.scanned;
        events.extend(page.events);
    }
}

/// The names of the events of each stream, in order.
async fn names<S: EventStore>(store: &S, kind: &str) -> Vec<String> {
    let events = all_events(store).await;
    let of_kind = events.iter().filter(|event| event.stream.aggregate_type() == kind);
    of_kind.map(|event| event.event_type.to_string()).collect()
}

async fn status<S: EventStore + SnapshotStore>(store: &S, order: Uuid) -> OrderStatus {
    Repository::<Order, _>::new(store.clone()).load(&order).await.unwrap().state.status
}

/// An order from the first command to the last.
async fn goes_through<S: ProjectionStore + SnapshotStore>(store: S) {
    let (managers, bus) = (runner(&store).spawn(), commands(&store));
    let order = Uuid::now_v7();
    let placed = bus.dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    managers.wait_for(placed.position).await.unwrap();
    bus.dispatch(SettlePayment { order_id: order }).await.unwrap();
    quiet(&managers, &store).await;
    assert_eq!(status(&store, order).await, OrderStatus::Done);
    let process = Repository::<Shipping, _>::new(store.clone()).load(&order).await.unwrap();
    assert_eq!(process.state, Shipping { address: "1 Analytical Row".into(), is_paid: true, overdue: 0 });
    managers.shutdown().await.unwrap();
}

#[tokio::test]
async fn commands_follow_events_to_the_end_of_the_process() {
    goes_through(MemoryStore::new()).await;
    goes_through(sqlite().await).await;
}

/// What was refused is undone: the order is off, and the money is where it was.
async fn compensates<S: ProjectionStore + SnapshotStore>(store: S) {
    let (managers, bus) = (runner(&store).spawn(), commands(&store));
    let (refused, unreachable) = (Uuid::now_v7(), Uuid::now_v7());
    bus.dispatch(place(refused, "Mallory", "9 Back Street")).await.unwrap();
    bus.dispatch(place(unreachable, "Neil", "the Moon")).await.unwrap();
    quiet(&managers, &store).await;
    bus.dispatch(SettlePayment { order_id: unreachable }).await.unwrap();
    quiet(&managers, &store).await;

    assert_eq!(status(&store, refused).await, OrderStatus::Cancelled("NoCredit".into()));
    assert_eq!(status(&store, unreachable).await, OrderStatus::Cancelled("Unreachable".into()));
    let payment = Repository::<Payment, _>::new(store.clone()).load(&unreachable).await.unwrap();
    assert_eq!(payment.state.taken, 0);
    assert_eq!(names(&store, "Payment").await, ["PaymentAsked", "PaymentTaken", "PaymentRefunded"]);
    assert!(names(&store, "Parcel").await.is_empty());
    managers.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refused_command_is_compensated() {
    compensates(MemoryStore::new()).await;
    compensates(sqlite().await).await;
}

/// The commands that a manager keeps went to every group of the bus, and one that was too large for it stopped the relay.
#[tokio::test]
async fn what_a_manager_keeps_is_not_published() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (managers, bus) = (runner(&store).spawn(), commands(&store));
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let sent = sender.send(received.event_type().map(str::to_owned));
        async move { Ok::<_, HandlerError>(sent?) }
    };
    let group = remote.subscribe("all").handle(handler).await.unwrap();
    let relay = Relay::new("all", store.clone(), remote.clone()).spawn();
    bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    relay.wait_for(store.head().await.unwrap()).await.unwrap();
    let stored = all_events(&store).await;
    let (kept, told): (Vec<_>, Vec<_>) =
        stored.iter().map(|event| &*event.event_type).partition(|name| name.starts_with("process_manager."));
    assert!(kept.contains(&"process_manager.reacted") && kept.contains(&"process_manager.scheduled"), "{kept:?}");
    for expected in told {
        assert_eq!(seen.recv().await.unwrap().as_deref(), Some(expected));
    }
    group.shutdown().await.unwrap();
    assert_eq!(seen.recv().await, None);
    relay.shutdown().await.unwrap();
    managers.shutdown().await.unwrap();
}

async fn times_out<S: ProjectionStore + SnapshotStore>(store: S) {
    let clock = Arc::new(Moved::default());
    let runner = || runner(&store).with_clock(clock.clone()).lease(Duration::from_millis(20));
    let bus = commands(&store);
    let (paid, unpaid) = (Uuid::now_v7(), Uuid::now_v7());
    let managers = runner().spawn();
    bus.dispatch(place(paid, "Ada", "1 Analytical Row")).await.unwrap();
    bus.dispatch(place(unpaid, "Grace", "Navy Yard")).await.unwrap();
    quiet(&managers, &store).await;
    bus.dispatch(SettlePayment { order_id: paid }).await.unwrap();
    quiet(&managers, &store).await;
    let blink = Duration::from_micros(1);
    clock.pass(TIME_TO_PAY.saturating_sub(blink));
    managers.shutdown().await.unwrap();
    assert!(!names(&store, "Shipping").await.contains(&TimeToPayOver::NAME.to_owned()));

    // Due while nothing runs; then in two places at once.
    clock.pass(blink);
    let (one, another) = (runner().spawn(), runner().spawn());
    while status(&store, unpaid).await == OrderStatus::Placed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    one.shutdown().await.unwrap();
    quiet(&another, &store).await;
    another.shutdown().await.unwrap();

    assert_eq!(status(&store, unpaid).await, OrderStatus::Cancelled("NotPaidInTime".into()));
    assert_eq!(status(&store, paid).await, OrderStatus::Done);
    let fired = names(&store, "Shipping").await.into_iter().filter(|name| name == TimeToPayOver::NAME).count();
    assert_eq!(fired, 2, "one for each order");

    // And once more, when all is over.
    let before = all_events(&store).await.len();
    let (again, late) = (runner().spawn(), Uuid::now_v7());
    bus.dispatch(place(late, "Edsger", "Nuenen")).await.unwrap();
    quiet(&again, &store).await;
    clock.pass(TIME_TO_PAY);
    // What is due later is recorded later.
    while status(&store, late).await == OrderStatus::Placed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    again.shutdown().await.unwrap();
    let late = late.to_string();
    let others = all_events(&store).await.into_iter().filter(|event| event.stream.aggregate_id() != late);
    assert_eq!(others.count(), before);
}

#[tokio::test]
async fn what_was_put_off_is_recorded_once_after_a_restart_too() {
    times_out(MemoryStore::new()).await;
    times_out(sqlite().await).await;
}

struct Orders;

#[projection]
impl Orders {
    #[projection(reset)]
    fn clear(&self) {}

    fn placed(&self, _: &Recorded<OrderPlaced>) {}
}

#[tokio::test]
async fn no_manager_reacts_while_a_projection_is_rebuilt() {
    let store = sqlite().await;
    let (managers, bus) = (runner(&store).spawn(), commands(&store));
    let placed = bus.dispatch(place(Uuid::now_v7(), "Mallory", "9 Back Street")).await.unwrap();
    quiet(&managers, &store).await;
    let before = all_events(&store).await.len();
    for rebuild in [false, true] {
        let projections = ProjectionRunner::new(store.clone()).projection(Orders);
        let projections = if rebuild { projections.rebuild() } else { projections }.spawn();
        projections.wait_for(placed.position).await.unwrap();
        projections.shutdown().await.unwrap();
    }
    quiet(&managers, &store).await;
    assert_eq!(all_events(&store).await.len(), before);
    managers.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_runners_of_one_manager_take_turns() {
    let store = sqlite().await;
    let (one, another) = (runner(&store).spawn(), runner(&store).spawn());
    let bus = commands(&store);
    for _ in 0..20 {
        bus.dispatch(place(Uuid::now_v7(), "Mallory", "9 Back Street")).await.unwrap();
    }
    quiet(&one, &store).await;
    one.shutdown().await.unwrap();
    let order = Uuid::now_v7();
    bus.dispatch(place(order, "Mallory", "9 Back Street")).await.unwrap();
    quiet(&another, &store).await;
    another.shutdown().await.unwrap();
    assert_eq!(status(&store, order).await, OrderStatus::Cancelled("NoCredit".into()));
    let cancelled = names(&store, "Order").await.into_iter().filter(|name| name == OrderCancelled::NAME).count();
    assert_eq!(cancelled, 21);
}
