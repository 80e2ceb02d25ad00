//! The relay: from the store to the bus, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{
    EventBus, HandlerError, InProcessBus, InProcessOptions, Received, Relay, SlowSubscriber, Subscription, Traced,
};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::store::{Filter, MemoryStore};
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::own_bus::remote;
use eventsource_tests::recorder::{Recorder, gauge};
use eventsource_tests::registry::Registry;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::bus::spans::until_settled;
use crate::following::place_many;
use crate::{bus, place, ship};

pub(super) const NAME: &str = "orders to the bus";

/// A subscription that shows what it gets.
pub(super) async fn collecting<B: EventBus>(bus: &Traced<B>) -> (Subscription, mpsc::UnboundedReceiver<Received>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let sent = sender.send(received);
        async move { Ok::<_, HandlerError>(sent?) }
    };
    (bus.subscribe("inventory").handle(handler).await.unwrap(), seen)
}

pub(super) async fn take(seen: &mut mpsc::UnboundedReceiver<Received>, count: usize) -> Vec<Received> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.expect("in time").unwrap());
    }
    taken
}

/// The ids of all events of a store, in order.
pub(super) async fn ids<S: EventStore>(store: &S) -> Vec<Option<Uuid>> {
    let page = store.read_all(Position::START, &Filter::all(), 10_000).await.unwrap();
    page.events.iter().map(|event| Some(event.id)).collect()
}

#[tokio::test]
async fn every_event_is_published_once_where_nothing_fails_before_and_after_it_starts() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    place_many(&store, 200).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    let last = place_many(&store, 20).await;
    relay.wait_for(last).await.unwrap();
    relay.shutdown().await.unwrap();
    // Another one goes on where it has stopped.
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    let last = place_many(&store, 20).await;
    relay.wait_for(last).await.unwrap();
    until_settled(&running, 240).await;
    let published: Vec<_> = take(&mut seen, 240).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await);
    relay.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 240);
}

#[tokio::test]
async fn a_new_relay_leaves_the_past_alone_where_it_is_told_to_and_an_old_one_goes_on() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let past = place_many(&store, 20).await;
    place_many(&store, 5).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).begin_after(past).spawn();
    relay.wait_for(store.head().await.unwrap()).await.unwrap();
    relay.shutdown().await.unwrap();
    let missed = place_many(&store, 5).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).begin_now().spawn();
    relay.wait_for(missed).await.unwrap();
    until_settled(&running, 10).await;
    let published: Vec<_> = take(&mut seen, 10).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await.split_off(20));
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bus_in_trouble_delays_and_loses_nothing() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    let mut last = Position::START;
    for _ in 0..5 {
        remote.inner().fail(3);
        last = place_many(&store, 3).await;
    }
    relay.wait_for(last).await.unwrap();
    let mut expected = ids(&store).await;
    let mut published: Vec<_> = take(&mut seen, expected.len()).await.iter().map(|received| received.id()).collect();
    // One may come twice; first seen they are in order.
    while let Ok(received) = seen.try_recv() {
        published.push(received.id());
    }
    let mut known = std::collections::HashSet::new();
    published.retain(|id| known.insert(*id));
    assert_eq!(published, std::mem::take(&mut expected));
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

/// It ended the relay for good.
#[tokio::test]
async fn a_bus_that_panics_delays_and_loses_nothing() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    remote.inner().panic(2);
    let last = place_many(&store, 3).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    relay.wait_for(last).await.unwrap();
    let published: Vec<_> = take(&mut seen, 3).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await);
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

/// It waited for as long as the bus did, and with it whoever shut the program down. On a clock that goes on when all
/// wait for it.
#[tokio::test(start_paused = true)]
async fn a_bus_that_takes_nothing_does_not_hold_up_the_end_of_a_relay() {
    let options = InProcessOptions::default().capacity(1).slow_subscriber(SlowSubscriber::Wait);
    let (store, full) = (MemoryStore::new(), InProcessBus::with_options(options));
    let (begun, mut seen) = mpsc::unbounded_channel();
    let stuck = move |_: Received| {
        begun.send(()).unwrap();
        std::future::pending::<Result<(), HandlerError>>()
    };
    let running = full.subscribe("inventory").handle(stuck).await.unwrap();
    place_many(&store, 5).await;
    let relay = Relay::new(NAME, store.clone(), full.clone()).spawn();
    seen.recv().await.unwrap();
    let asked = tokio::time::Instant::now();
    relay.shutdown().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    running.shutdown_within(Duration::ZERO).await.unwrap_err();
    let bus = InProcessBus::new();
    let (running, mut seen) = collecting(&bus).await;
    let relay = Relay::new(NAME, store.clone(), bus.clone()).spawn();
    relay.wait_for(store.head().await.unwrap()).await.unwrap();
    let published: Vec<_> = take(&mut seen, 5).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await, "what was dropped is published again");
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

/// It got the beginning of the batch again and again, and never the end. On a clock that goes on when all wait for it.
#[tokio::test(start_paused = true)]
async fn a_bus_that_takes_a_few_at_a_time_gets_all_of_them_once() {
    let options = InProcessOptions::default().capacity(2).slow_subscriber(SlowSubscriber::Refuse);
    let (store, tight) = (MemoryStore::new(), InProcessBus::with_options(options));
    let (sender, mut seen) = mpsc::unbounded_channel();
    let slow = move |received: Received| {
        let sender = sender.clone();
        async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok::<_, HandlerError>(sender.send(received)?)
        }
    };
    let running = tight.subscribe("inventory").handle(slow).await.unwrap();
    let last = place_many(&store, 20).await;
    let begun = tokio::time::Instant::now();
    let relay = Relay::new(NAME, store.clone(), tight.clone()).spawn();
    relay.wait_for(last).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "its pauses grow no longer while it gets on");
    until_settled(&running, 20).await;
    let published: Vec<_> = take(&mut seen, 20).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await);
    relay.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 20, "none twice");
}

#[tokio::test]
async fn a_consumer_leads_straight_back_to_the_command() {
    let recorder = Recorder::new();
    let store = MemoryStore::new();
    recorder
        .run(async {
            let remote = remote();
            let running = remote.subscribe("inventory").handle(async |_: Received| Ok(())).await.unwrap();
            let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
            let committed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
            relay.wait_for(committed.position).await.unwrap();
            until_settled(&running, 1).await;
            running.shutdown().await.unwrap();
            relay.shutdown().await.unwrap();
        })
        .await;
    let trees = recorder.trees();
    assert_eq!(
        trees.names(),
        "command.PlaceOrder(load_aggregate(snapshot_store.get event_store.load) handle_command \
         persist_events(event_store.append process orders)) send orders"
    );
    let (persist, send) = (trees.span("persist_events"), trees.span("send orders"));
    let link = &send.links.links[0];
    assert_eq!(link.span_context.span_id(), persist.span_context.span_id());
    let told: Vec<_> = link.attributes.iter().map(|told| (told.key.as_str(), told.value.to_string())).collect();
    assert_eq!(told, [("eventsource.event.id", ids(&store).await[0].unwrap().to_string())]);
    let faults: Vec<_> = recorder.spans().iter().flat_map(|span| Registry::load().check_span(span)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn of_two_relays_of_a_name_one_publishes_and_the_other_takes_over() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let relay = || Relay::new(NAME, store.clone(), remote.clone()).spawn();
    let (first, second) = (relay(), relay());
    first.wait_for(place_many(&store, 30).await).await.unwrap();
    first.shutdown().await.unwrap();
    second.wait_for(place_many(&store, 30).await).await.unwrap();
    let published: Vec<_> = take(&mut seen, 60).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await);
    until_settled(&running, 60).await;
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 60, "none twice");
    second.shutdown().await.unwrap();
}

/// What it had read it published again, after all that another one had published meanwhile.
#[tokio::test]
async fn a_relay_that_was_held_up_beyond_its_lease_publishes_nothing() {
    for is_given_up in [false, true] {
        held_up(|asked| matches!(asked, Asked::Feed { found: true, .. }), is_given_up).await;
    }
}

/// A lease lasts from when it was asked for.
#[tokio::test]
async fn a_relay_whose_lease_comes_late_publishes_nothing() {
    held_up(|asked| matches!(asked, Asked::Lease(..)), false).await;
}

async fn held_up(at: fn(Asked) -> bool, is_given_up: bool) {
    let (store, remote, gate) = (MemoryStore::new(), remote(), Arc::new(Gate::default()));
    let (running, mut seen) = collecting(&remote).await;
    place_many(&store, 5).await;
    let held_up = Hooked::new(&store, {
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            async move {
                if at(asked) {
                    gate.pass().await;
                }
            }
        }
    });
    let lease = Duration::from_millis(50);
    let late = Relay::new(NAME, held_up, remote.clone()).lease(lease).spawn();
    gate.reached().await;
    let last = place_many(&store, 15).await;
    let other = Relay::new(NAME, store.clone(), remote.clone()).lease(lease).spawn();
    other.wait_for(last).await.unwrap();
    // Whether the lease is the other one's still, or nobody's any more.
    if is_given_up {
        other.shutdown().await.unwrap();
        gate.open();
    } else {
        gate.open();
        other.shutdown().await.unwrap();
    }
    late.wait_for(place_many(&store, 1).await).await.unwrap();
    let published: Vec<_> = take(&mut seen, 21).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, ids(&store).await);
    until_settled(&running, 21).await;
    late.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 21, "none twice");
}

#[tokio::test]
async fn partitions_publish_each_their_streams() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let relay = Relay::new(NAME, store.clone(), remote.clone()).partitions(3).spawn();
    let bus = bus(&store);
    let orders: Vec<_> = (0..20).map(|_| Uuid::now_v7()).collect();
    for order in &orders {
        bus.dispatch(place(*order)).await.unwrap();
    }
    let mut last = Position::START;
    for order in &orders {
        last = bus.dispatch(ship(*order)).await.unwrap().position;
    }
    relay.wait_for(last).await.unwrap();
    let mut versions = std::collections::HashMap::<_, Vec<_>>::new();
    for received in take(&mut seen, 40).await {
        versions.entry(received.stream().cloned()).or_default().push(received.version().unwrap().get());
    }
    assert_eq!(versions.len(), 20);
    assert!(versions.values().all(|versions| *versions == [1, 2]), "{versions:?}");
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_gap_tells_how_far_a_relay_is_behind() {
    let (recorder, metrics) = Recorder::measured();
    recorder
        .run(async {
            let (store, remote) = (MemoryStore::new(), remote());
            remote.inner().fail(usize::MAX);
            let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
            place_many(&store, 7).await;
            until_gap(&recorder, &metrics, 7).await;
            let (running, _seen) = collecting(&remote).await;
            remote.inner().fail(0);
            until_gap(&recorder, &metrics, 0).await;
            relay.shutdown().await.unwrap();
            running.shutdown().await.unwrap();
        })
        .await;
}

async fn until_gap(recorder: &Recorder, metrics: &InMemoryMetricExporter, expected: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        recorder.flush().await;
        let found = gauge(metrics, "eventsource.relay.gap");
        if found == Some(expected) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the gap is {found:?}, not {expected}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_relay_is_known_by_its_name_where_others_wait_for_it() {
    let store = MemoryStore::new();
    let relay = Relay::new(NAME, store.clone(), InProcessBus::new()).owner("relay of shop 7").spawn();
    relay.wait_for(place_many(&store, 1).await).await.unwrap();
    let claim = Claim::new(Uuid::now_v7(), "another", Duration::from_secs(5));
    let asked = store.lease_projection(Partition::whole(NAME), claim).await.unwrap();
    assert_eq!(asked.taken.unwrap().owner, "relay of shop 7");
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_the_bus_can_never_take_stops_the_relay_unless_it_may_pass_over_it() {
    let (store, remote) = (MemoryStore::new(), remote());
    let (running, mut seen) = collecting(&remote).await;
    let last = place_many(&store, 3).await;
    let all = ids(&store).await;
    remote.inner().refuse_for_good(all[0]);
    let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
    let stopped = relay.wait_for(last).await.unwrap_err();
    let ProjectionStopped::Failed { checkpoint, .. } = &stopped else { panic!("{stopped}") };
    assert_eq!(*checkpoint, Position::START);
    drop(relay);
    let relay = Relay::new(NAME, store.clone(), remote.clone()).skip_unpublishable().spawn();
    relay.wait_for(last).await.unwrap();
    let published: Vec<_> = take(&mut seen, 2).await.iter().map(|received| received.id()).collect();
    assert_eq!(published, all[1..]);
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

/// Its gap vanished with it, as after a shutdown.
#[tokio::test]
async fn a_relay_that_has_failed_is_told_until_it_is_shut_down() {
    let (recorder, metrics) = Recorder::measured();
    let told = async || {
        recorder.flush().await;
        gauge(&metrics, "eventsource.relay.running")
    };
    recorder
        .run(async {
            let (store, remote) = (MemoryStore::new(), remote());
            let relay = Relay::new(NAME, store.clone(), remote.clone()).spawn();
            relay.wait_for(place_many(&store, 1).await).await.unwrap();
            assert_eq!(told().await, Some(1));
            let last = place_many(&store, 1).await;
            remote.inner().refuse_for_good(ids(&store).await[1]);
            relay.wait_for(last).await.unwrap_err();
            assert_eq!(told().await, Some(0));
            relay.shutdown().await.unwrap_err();
            assert_eq!(told().await, None);
            let quiet = Relay::new("unmeasured", store, remote).enable_metrics(false).skip_unpublishable().spawn();
            assert_eq!(told().await, None);
            quiet.shutdown().await.unwrap();
        })
        .await;
}
