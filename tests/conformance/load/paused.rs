//! What a long backlog and a long stream cost in memory, each in a process of its own.

use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Instant;

use eventsource_runtime::EventRef;
use eventsource_runtime::store::{EventStore, ExpectedVersion, Fold, Position, StreamId, Traced, Version, Visitor};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, repeats};
use uuid::Uuid;

use super::{Seen, events};

/// How many events are appended while the subscriber is paused: 100 a second for half an hour in a long run. And how
/// many a stream has that is loaded.
const EVENTS: &str = "EVENTSOURCE_TESTS_PAUSED_EVENTS";
const CHILD: &str = "EVENTSOURCE_TESTS_PAUSES";
const SIZE: usize = 2048;
/// How much memory may come to: pages, caches and connections, and not the backlog, nor the stream.
const BOUND: u64 = 64 * 1024;

fn each_in_a_process(what: &str) {
    for store in ["sqlite", "postgresql"] {
        let test = "load::paused::is_measured";
        let status = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, format!("{what} {store}"))
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{store}");
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

/// Does its work only in the processes that the tests above start.
#[test]
fn is_measured() {
    let Ok(asked) = std::env::var(CHILD) else { return };
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
    if what == "paused" { pause(&store, &stream, count).await } else { load(&store, stream, count).await }
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
    struct Bytes(usize);
    impl Visitor for Bytes {
        fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
            self.0 += event.payload.len();
            ControlFlow::Continue(())
        }
    }
    append(store, &stream, 1).await;
    let (before, begun) = (resident("VmRSS"), Instant::now());
    append(store, &stream, count).await;
    let folded = store.fold(Fold { stream, after: Version::START, first_event: None }, Bytes(0)).await.unwrap();
    assert_eq!((folded.visited, folded.visitor.0 as u64), (count + 1, (count + 1) * SIZE as u64));
    bounded(before, count, begun);
}

fn bounded(before: u64, count: u64, begun: Instant) {
    let most = resident("VmHWM").saturating_sub(before);
    println!("{count} events of {SIZE} bytes in {:?}, {most} KiB more", begun.elapsed());
    assert!(most < BOUND, "{most} KiB more than before, for {} KiB of events", count * SIZE as u64 / 1024);
}

async fn append<S: EventStore>(store: &Traced<S>, stream: &StreamId, count: u64) {
    let mut left = count;
    while left > 0 {
        let mut batch = events(left.min(250));
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
