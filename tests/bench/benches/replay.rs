//! `cargo bench -p eventsource-bench --bench replay`

use std::path::Path;
use std::time::Duration;

use eventsource_bench::orders::{AnyCommand, Order, OrderEvent, apply, decode, encode};
use eventsource_bench::raw;
use eventsource_bench::sample::{Contender, Samples, operations_per_second, timed};
use eventsource_bench::scratch::Scratch;
use eventsource_bench::table::{Table, number, verdict};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteStore;
use eventsource_runtime::telemetry::set_enabled;
use tokio::runtime::Runtime;
use uuid::Uuid;

const ROUNDS: usize = 9;
const IN_MEMORY: usize = 1_000_000;
const ON_SQLITE: usize = 100_000;
/// How many events are appended at once while the streams are filled.
const BATCH: usize = 1_000;

fn main() {
    set_enabled(false);
    let runtime = Runtime::new().expect("a runtime");
    let order = Uuid::now_v7();

    let by_hand: Vec<(&str, Vec<u8>)> = events(0, IN_MEMORY).iter().map(encode).collect();
    let memory = runtime.block_on(filled(MemoryStore::new(), order, IN_MEMORY));

    let mut scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let file = scratch.file();
    let store = runtime.block_on(SqliteStore::open(&file)).expect("a store");
    let sqlite = runtime.block_on(filled(store.clone(), order, ON_SQLITE));
    let connection = rusqlite::Connection::open(&file).expect("the same file");
    connection.pragma_update(None, "cache_size", -16_384).expect("a pragma");

    let samples = operations_per_second(
        ROUNDS,
        &mut [
            Contender::new("by hand", || fold(&by_hand)),
            Contender::new("ours", || load(&runtime, &memory, order, IN_MEMORY)),
            Contender::new("raw", || raw_load(&connection, order)),
            Contender::new("ours", || load(&runtime, &sqlite, order, ON_SQLITE)),
        ],
    );
    runtime.block_on(store.close());
    print(&samples);
}

fn print(samples: &[Samples]) {
    let [by_hand, memory, raw, sqlite] = samples else { return };
    let mut table = Table::new(&["", "events/s", "min–max", "ratio", "aim"]);
    let mut row = |title: &str, samples: &Samples, floor: Option<&Samples>| {
        let (least, most) = samples.range();
        let ratio = floor.map(|floor| samples.ratio(floor));
        table.row([
            title.to_owned(),
            number(samples.median()),
            format!("{}–{}", number(least), number(most)),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            ratio.map_or(String::new(), |ratio| format!("≥ 0.9: {}", verdict(ratio >= 0.9))),
        ]);
    };
    row("by hand, 1,000,000 in memory", by_hand, None);
    row("ours, 1,000,000 in memory", memory, Some(by_hand));
    row("by hand, 100,000 from SQLite", raw, None);
    row("ours, 100,000 from SQLite", sqlite, Some(raw));
    println!("\nreplayed events a second\n");
    table.print();
}

/// The events of a stream from one place to another.
fn events(from: usize, to: usize) -> Vec<OrderEvent> {
    let placed = {
        let mut order = Order::default();
        apply(&mut order, AnyCommand::nth(0).decide(&Order::default()).expect("an order can be placed"));
        order
    };
    let event = |ordinal| {
        let order = if ordinal == 0 { Order::default() } else { placed.clone() };
        AnyCommand::nth(ordinal).decide(&order).expect("the commands come in order")
    };
    (from..to).map(event).collect()
}

async fn filled<S: EventStore + SnapshotStore>(store: S, order: Uuid, count: usize) -> Repository<Order, S> {
    let repository = Repository::new(store);
    for from in (0..count).step_by(BATCH) {
        // The set as such: what is appended is what was decided by hand.
        let batch = events(from, count.min(from + BATCH));
        repository.append(&order, ExpectedVersion::Any, Decided(batch)).await.expect("the store works");
    }
    repository
}

/// Events that were decided already.
struct Decided(Vec<OrderEvent>);

impl eventsource_runtime::IntoEvents<OrderEvent> for Decided {
    fn into_events(self, events: &mut Vec<OrderEvent>) {
        events.extend(self.0);
    }
}

fn fold(events: &[(&str, Vec<u8>)]) -> (u64, Duration) {
    let (order, elapsed) = timed(|| {
        let mut order = Order::default();
        for (event_type, payload) in events {
            apply(&mut order, decode(event_type, payload));
        }
        order
    });
    assert_ne!(order, Order::default());
    (events.len() as u64, elapsed)
}

fn raw_load(connection: &rusqlite::Connection, order: Uuid) -> (u64, Duration) {
    let ((_, version), elapsed) = timed(|| raw::load(connection, &raw::stream(order)).expect("SQLite reads"));
    (version.cast_unsigned(), elapsed)
}

fn load<S: EventStore + SnapshotStore>(
    runtime: &Runtime,
    repository: &Repository<Order, S>,
    order: Uuid,
    count: usize,
) -> (u64, Duration) {
    let (loaded, elapsed) = timed(|| runtime.block_on(repository.load(&order)).expect("the store reads"));
    assert_eq!(loaded.version, count as u64);
    (count as u64, elapsed)
}
