//! `cargo bench -p eventsource-bench --bench commands`

mod channel;
mod memory;
mod ours;
mod traces;

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use eventsource_bench::orders::{AnyCommand, COMMANDS, ids};
use eventsource_bench::raw;
use eventsource_bench::sample::{Contender, Samples, operations_per_second, timed};
use eventsource_bench::scratch::Scratch;
use eventsource_bench::table::{Table, number, verdict};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteOptions, SqliteStore, Synchronous};
use eventsource_runtime::telemetry::set_enabled;
use tokio::runtime::Runtime;
use traces::Counts;

const ROUNDS: usize = 7;
/// How many orders get ten commands each.
const ORDERS: usize = 500;
/// How often a sample in memory begins anew: one alone would be too short.
const REPETITIONS: u32 = 20;
/// What makes this program run the peer that prints.
const PEER: &str = "--cqrs-es";

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    if std::env::args().any(|argument| argument == PEER) {
        return peer(&runtime);
    }
    let (telemetry, counts) = traces::install();
    let scratch = RefCell::new(Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR"))));
    let sqlite = Sqlite { runtime: &runtime, scratch: &scratch, telemetry: &telemetry, counts: &counts };
    println!("\ncommands a second on SQLite: load, decide, append one event\n");
    on_sqlite(&sqlite);
    println!("\ncommands a second in memory\n");
    in_memory(&runtime);
    runtime.block_on(telemetry.shutdown()).expect("nothing to connect to");
}

/// What the contenders on SQLite share.
struct Sqlite<'a> {
    runtime: &'a Runtime,
    scratch: &'a RefCell<Scratch>,
    telemetry: &'a Telemetry,
    counts: &'a Counts,
}

impl Sqlite<'_> {
    fn raw(&self, synchronous: &str) -> (u64, Duration) {
        let connection = raw::open(&self.scratch.borrow_mut().file(), synchronous);
        let orders = ids(ORDERS);
        let ((), elapsed) = timed(|| {
            for ordinal in 0..COMMANDS {
                for &order in &orders {
                    raw::handle(&connection, order, AnyCommand::nth(ordinal)).expect("SQLite works");
                }
            }
        });
        ((ORDERS * COMMANDS) as u64, elapsed)
    }

    fn behind_channel(&self, synchronous: &str) -> (u64, Duration) {
        let channel = channel::Channel::open(&self.scratch.borrow_mut().file(), synchronous);
        let orders = ids(ORDERS);
        let ((), elapsed) = timed(|| self.runtime.block_on(channel.handle_all(&orders)));
        channel.close();
        ((ORDERS * COMMANDS) as u64, elapsed)
    }

    fn ours(&self, synchronous: Synchronous, tasks: usize) -> (u64, Duration) {
        let options = SqliteOptions::default().synchronous(synchronous);
        let file = self.scratch.borrow_mut().file();
        let store = self.runtime.block_on(SqliteStore::open_with(file, options)).expect("a store");
        let measured = ours::run(self.runtime, &ours::bus(store.clone()), ORDERS, tasks);
        self.runtime.block_on(store.close());
        measured
    }

    /// With every span exported within the time that is measured.
    fn traced(&self, tasks: usize) -> (u64, Duration) {
        set_enabled(true);
        let (commands, elapsed) = self.ours(Synchronous::Full, tasks);
        set_enabled(false);
        let (flushed, flushing) = timed(|| self.telemetry.tracer_provider().force_flush());
        flushed.expect("the exporter works");
        assert!(self.counts.complete() >= commands, "every command has a span");
        (commands, elapsed + flushing)
    }
}

fn on_sqlite(sqlite: &Sqlite<'_>) {
    let samples = operations_per_second(
        ROUNDS,
        &mut [
            Contender::new("raw rusqlite, FULL", || sqlite.raw("FULL")),
            Contender::new("ours, FULL, 1 task", || sqlite.ours(Synchronous::Full, 1)),
            Contender::new("ours, FULL, 1 task, traced", || sqlite.traced(1)),
            Contender::new("ours, FULL, 64 tasks", || sqlite.ours(Synchronous::Full, 64)),
            Contender::new("ours, FULL, 64 tasks, traced", || sqlite.traced(64)),
            Contender::new("raw rusqlite, NORMAL", || sqlite.raw("NORMAL")),
            Contender::new("raw behind a thread and a channel, NORMAL", || sqlite.behind_channel("NORMAL")),
            Contender::new("ours, NORMAL, 1 task", || sqlite.ours(Synchronous::Normal, 1)),
        ],
    );
    let [raw_full, full, traced, full_64, traced_64, raw_normal, channel, normal] = &samples[..] else { return };
    let mut table = table();
    row(&mut table, "raw rusqlite, FULL", raw_full, None);
    row(&mut table, "ours, FULL, 1 task", full, Some(("raw", raw_full, 0.85)));
    row(&mut table, "ours, FULL, 1 task, traced", traced, Some(("untraced", full, 0.9)));
    row(&mut table, "ours, FULL, 64 tasks", full_64, Some(("raw, 1 task", raw_full, 4.0)));
    row(&mut table, "ours, FULL, 64 tasks, traced", traced_64, Some(("untraced", full_64, 0.8)));
    row(&mut table, "raw rusqlite, NORMAL", raw_normal, None);
    row(&mut table, "raw behind a thread and a channel, NORMAL", channel, Some(("raw", raw_normal, 0.0)));
    row(&mut table, "ours, NORMAL, 1 task", normal, Some(("raw behind a channel", channel, 0.85)));
    row(&mut table, "ours, NORMAL, 1 task", normal, Some(("raw", raw_normal, 0.0)));
    table.print();
}

fn in_memory(runtime: &Runtime) {
    let samples = operations_per_second(
        ROUNDS,
        &mut [
            Contender::new("by hand", || repeated(|| memory::by_hand(ORDERS))),
            Contender::new("ours", || {
                repeated(|| {
                    let bus = ours::bus(MemoryStore::new());
                    (ours::run(runtime, &bus, ORDERS, 1), bus)
                })
            }),
            Contender::new("cqrs-es", ask_peer),
        ],
    );
    let [by_hand, ours, peer] = &samples[..] else { return };
    let mut table = table();
    row(&mut table, "by hand, a map of encoded events", by_hand, None);
    row(&mut table, "ours", ours, Some(("by hand", by_hand, 0.6)));
    row(&mut table, "cqrs-es, which keeps decoded events", peer, Some(("by hand", by_hand, 0.0)));
    table.print();
}

/// Runs a short sample so often that it is a long one. What is stored stays until the end, as in a store that grows:
/// memory that another store gave back would be cheaper, if the allocator did not return it to the system.
fn repeated<T>(mut run: impl FnMut() -> ((u64, Duration), T)) -> (u64, Duration) {
    let runs = (0..REPETITIONS).map(|_| run()).collect::<Vec<_>>();
    runs.iter().fold((0, Duration::ZERO), |sum, (run, _)| (sum.0 + run.0, sum.1 + run.1))
}

fn table() -> Table {
    Table::new(&["", "commands/s", "min–max", "ratio", "aim"])
}

/// A ratio without an aim is told, not judged: its aim is 0.
fn row(table: &mut Table, title: &str, samples: &Samples, against: Option<(&str, &Samples, f64)>) {
    let (least, most) = samples.range();
    let (ratio, aim) = against.map_or_else(Default::default, |(name, other, aim)| {
        let ratio = samples.ratio(other);
        let judged = if aim > 0.0 { format!("≥ {aim}: {}", verdict(ratio >= aim)) } else { String::new() };
        (format!("{ratio:.2} of {name}"), judged)
    });
    let range = format!("{}–{}", number(least), number(most));
    table.row([title.to_owned(), number(samples.median()), range, ratio, aim]);
}

/// Runs the peer in a process of its own, since it prints a line for each load and each commit.
fn ask_peer() -> (u64, Duration) {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).arg(PEER).stdout(Stdio::null()).output().expect("this program runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    let mut numbers = printed.split_whitespace().map(|number| number.parse().expect("two numbers"));
    let (commands, nanoseconds) = (numbers.next().expect("commands"), numbers.next().expect("nanoseconds"));
    (commands, Duration::from_nanos(nanoseconds))
}

fn peer(runtime: &Runtime) {
    memory::cqrs_es(runtime, ORDERS);
    let (commands, elapsed) = repeated(|| memory::cqrs_es(runtime, ORDERS));
    eprintln!("{commands} {}", elapsed.as_nanos());
}
