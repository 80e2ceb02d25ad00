//! What a long backlog and a long stream cost in memory, each in a process of its own.

use std::ops::ControlFlow;
use std::time::Instant;

use eventsource_runtime::EventRef;
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, Filter, Fold, Position, StreamId, Traced, Version, Visitor,
};
use eventsource_runtime::testing::run;
use eventsource_tests::alone::{alone, passed};
use eventsource_tests::services::{self, repeats};
use uuid::Uuid;

use super::{Seen, events};

/// How many events are appended while the subscriber is paused: 100 a second for half an hour in a long run. And how
/// many a stream has that is loaded.
const EVENTS: &str = "EVENTSOURCE_TESTS_PAUSED_EVENTS";
/// Names what is measured, and the store, in the process that measures.
const ASKED: &str = "EVENTSOURCE_TESTS_PAUSES";
const SIZE: usize = 2048;
/// How many events of a MiB there are.
const LARGE: usize = 200;
/// How much memory may come to: pages, caches and connections, and not the backlog, nor the stream.
const BOUND: u64 = 64 * 1024;

fn each_in_a_process(what: &str) {
    for store in ["sqlite", "postgresql"] {
        passed(alone("load::paused::is_measured").env(ASKED, format!("{what} {store}")), 1);
    }
}

#[test]
fn a_subscriber_that_is_paused_misses_nothing_and_costs_no_memory() {
    each_in_a_process("paused");
}

#[test]
fn a_long_stream_is_loaded_page_by_page() {
    each_in_a_process("loaded");
}

/// Pages were so many events, whatever these came to.
#[test]
fn pages_of_large_events_are_short() {
    each_in_a_process("large");
}

/// Does its work only in the processes that the tests above start.
#[test]
fn is_measured() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let (what, store) = asked.split_once(' ').unwrap();
    run(async move {
        match store {
            "sqlite" => measure(what, super::super::sqlite::open(&super::super::sqlite::a_file()).await).await,
            _ => measure(what, super::super::postgres::open_in(&services::a_schema()).await).await,
        }
    });
}

async fn measure<S: EventStore>(what: &str, store: Traced<S>) {
    let (count, stream) = (repeats(EVENTS, 50_000) as u64, StreamId::new("Order", Uuid::now_v7()));
    match what {
        "paused" => pause(&store, &stream, count).await,
        "large" => read_large(&store, &stream).await,
        _ => load(&store, stream, count).await,
    }
}

/// Small events, so that pages are long, and then large ones; read as a feed and as a stream, whole and filtered.
async fn read_large<S: EventStore>(store: &Traced<S>, stream: &StreamId) {
    const MIB: usize = 1 << 20;
    append(store, stream, 5000).await;
    for _ in 0..LARGE {
        let mut event = events(1);
        event[0].payload = vec![b'x'; MIB].into();
        store.append(stream, ExpectedVersion::Any, event).await.unwrap();
    }
    let (before, begun) = (resident("VmRSS"), Instant::now());
    for filter in [Filter::all(), Filter::all().event_types(["Placed"])] {
        let (mut feed, mut seen) = (store.feed(Position::START, filter), Seen::default());
        while let Some(event) = feed.next().await.unwrap() {
            seen.take(&event);
        }
        assert_eq!(seen.ids.len(), 5000 + LARGE);
    }
    let (mut load, mut count) = (store.load(stream, Version::START), 0);
    while load.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 5000 + LARGE);
    // The first event of a command is looked for while rows are held.
    let fold = Fold { stream: stream.clone(), after: Version::new(5000), first_event: Some(Uuid::now_v7()) };
    assert_eq!(store.fold(fold, Bytes(0)).await.unwrap().visitor.0, LARGE * MIB);
    bounded(before, (LARGE * MIB / SIZE) as u64, begun);
}

async fn pause<S: EventStore>(store: &Traced<S>, stream: &StreamId, count: u64) {
    let mut subscription = store.subscribe(Position::START);
    append(store, stream, 1).await;
    let mut seen = Seen::default();
    seen.take(&subscription.next().await.unwrap());
    let (before, begun) = (resident("VmRSS"), Instant::now());
    append(store, stream, count).await;
    while seen.ids.len() as u64 <= count {
        seen.take(&subscription.next().await.unwrap());
    }
    bounded(before, count, begun);
}

async fn load<S: EventStore>(store: &Traced<S>, stream: StreamId, count: u64) {
    append(store, &stream, 1).await;
    let (before, begun) = (resident("VmRSS"), Instant::now());
    append(store, &stream, count).await;
    let folded = store.fold(Fold { stream, after: Version::START, first_event: None }, Bytes(0)).await.unwrap();
    assert_eq!((folded.visited, folded.visitor.0 as u64), (count + 1, (count + 1) * SIZE as u64));
    bounded(before, count, begun);
}

/// How many bytes were shown.
struct Bytes(usize);

impl Visitor for Bytes {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.0 += event.payload.len();
        ControlFlow::Continue(())
    }
}

fn bounded(before: u64, count: u64, begun: Instant) {
    let most = resident("VmHWM").saturating_sub(before);
    println!("{count} events of {SIZE} bytes in {:?}, {most} KiB more", begun.elapsed());
    assert!(most < BOUND, "{most} KiB more than before, for {} KiB of events", count * SIZE as u64 / 1024);
}

async fn append<S: EventStore>(store: &Traced<S>, stream: &StreamId, count: u64) {
    let mut left = count;
    while left > 0 {
        let mut batch = events(left.min(250).try_into().unwrap());
        left -= batch.len() as u64;
        for event in &mut batch {
            event.payload = vec![b'x'; SIZE].into();
        }
        store.append(stream, ExpectedVersion::Any, batch).await.unwrap();
    }
}

/// A line of the process's status, in KiB.
fn resident(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|found| found.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap()
}
