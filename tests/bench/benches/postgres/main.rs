//! `cargo bench -p eventsource-bench --bench postgres`, with the address of a server in `EVENTSOURCE_POSTGRES_URL`.

mod appends;
mod floor;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventsource_bench::orders::{AddItem, AnyCommand, COMMANDS, Order, PlaceOrder, TakeNote, apply, encode, ids};
use eventsource_bench::peer::{self, Peer};
use eventsource_bench::sample::{Contender, Samples, operations_per_second, timed};
use eventsource_bench::table::{Table, number, verdict};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{NewEvent, Origin, PostgresOptions, PostgresStore};
use eventsource_runtime::telemetry::set_enabled;
use tokio::runtime::Runtime;
use uuid::Uuid;

const ROUNDS: usize = 5;
/// How many orders get ten commands each.
const ORDERS: usize = 160;
/// How many events are replayed.
const REPLAYED: usize = 100_000;
const TASKS: usize = 16;

fn main() {
    let Ok(address) = std::env::var("EVENTSOURCE_POSTGRES_URL") else {
        return println!("SKIPPED: no PostgreSQL; set EVENTSOURCE_POSTGRES_URL");
    };
    set_enabled(false);
    let runtime = Runtime::new().expect("a runtime");
    let bench = Bench { runtime: &runtime, address: &address };
    bench.commands();
    bench.appends();
    bench.replay();
}

struct Bench<'a> {
    runtime: &'a Runtime,
    address: &'a str,
}

impl Bench<'_> {
    fn open(&self) -> PostgresStore {
        let options = PostgresOptions::default().schema(format!("bench_{}", Uuid::now_v7().simple()));
        self.runtime.block_on(PostgresStore::connect_with(self.address, options)).expect("a store")
    }

    fn commands(&self) {
        let store = self.open();
        let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build();
        let floor = self.runtime.block_on(floor::Floor::open(self.address, TASKS));
        let peer = peer::built("postgres_es", Path::new(env!("CARGO_TARGET_TMPDIR")))
            .and_then(|mut program| Peer::start(program.arg(self.address)))
            .inspect_err(|error| println!("SKIPPED: postgres-es: {error}"));
        let peer = RefCell::new(peer.ok());
        let mut contenders = vec![
            Contender::new("floor, 1", || self.floor(&floor, 1)),
            Contender::new("ours, 1", || self.ours(&bus, 1)),
            Contender::new("floor, 16", || self.floor(&floor, TASKS)),
            Contender::new("ours, 16", || self.ours(&bus, TASKS)),
        ];
        if peer.borrow().is_some() {
            for tasks in [1, TASKS] {
                let peer = &peer;
                contenders.push(Contender::new("postgres-es", move || {
                    let question = format!("{tasks} {}", orders_of(tasks));
                    peer.borrow_mut().as_mut().expect("it was started").ask(&question)
                }));
            }
        }
        let samples = operations_per_second(ROUNDS, &mut contenders);
        let [floor_1, ours_1, floor_16, ours_16, peers @ ..] = &samples[..] else { return };
        println!("\ncommands a second: load, decide, append one event\n");
        let mut table = table();
        row(&mut table, "tokio-postgres by hand, no global order, 1 connection", floor_1, None);
        row(&mut table, "ours, 1 task", ours_1, Some((floor_1, 0.85)));
        row(&mut table, "tokio-postgres by hand, no global order, 16 connections", floor_16, None);
        row(&mut table, "ours, 16 tasks", ours_16, Some((floor_16, 0.8)));
        for ((ours, peer), tasks) in [ours_1, ours_16].into_iter().zip(peers).zip([1, TASKS]) {
            row(&mut table, &format!("postgres-es, {tasks} tasks"), peer, None);
            row(&mut table, &format!("ours ÷ postgres-es, {tasks} tasks"), ours, Some((peer, 2.5)));
        }
        table.print();
        self.latencies(&bus);
    }

    fn ours(&self, bus: &CommandBus, tasks: usize) -> (u64, Duration) {
        let bus = bus.clone();
        self.spread(tasks, move |_, orders| {
            let bus = bus.clone();
            async move { handle_all(&bus, &orders, &mut Vec::new()).await }
        })
    }

    fn floor(&self, floor: &floor::Floor, tasks: usize) -> (u64, Duration) {
        let floor = floor.clone();
        self.spread(tasks, move |task, orders| {
            let connection = floor.connection(task);
            async move { connection.handle_all(&orders).await }
        })
    }

    /// Gives the orders to so many tasks, all of them spawned, and waits.
    fn spread<F: Future<Output = ()> + Send + 'static>(
        &self,
        tasks: usize,
        run: impl Fn(usize, Vec<Uuid>) -> F,
    ) -> (u64, Duration) {
        let orders = ids(orders_of(tasks));
        let ((), elapsed) = timed(|| {
            self.runtime.block_on(async {
                let chunks = orders.chunks(orders.len().div_ceil(tasks)).enumerate();
                let handles: Vec<_> = chunks.map(|(task, orders)| tokio::spawn(run(task, orders.to_vec()))).collect();
                for handle in handles {
                    handle.await.expect("no task panics");
                }
            });
        });
        ((orders.len() * COMMANDS) as u64, elapsed)
    }

    fn latencies(&self, bus: &CommandBus) {
        println!();
        for tasks in [1, TASKS] {
            let orders = ids(ORDERS * 2);
            let mut latencies = self.runtime.block_on(async {
                let chunks = orders.chunks(orders.len().div_ceil(tasks));
                let handles: Vec<_> = chunks
                    .map(|orders| {
                        let (bus, orders) = (bus.clone(), orders.to_vec());
                        tokio::spawn(async move {
                            let mut latencies = Vec::new();
                            handle_all(&bus, &orders, &mut latencies).await;
                            latencies
                        })
                    })
                    .collect();
                let mut all = Vec::new();
                for handle in handles {
                    all.extend(handle.await.expect("no task panics"));
                }
                all
            });
            latencies.sort_unstable();
            let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
            println!("{tasks} tasks: a command takes {:?} (median), {:?} (p99)", at(50), at(99));
        }
    }

    fn appends(&self) {
        let store = self.open();
        let lock = self.runtime.block_on(appends::Locked::open(self.address, TASKS));
        let samples = operations_per_second(
            ROUNDS,
            &mut [
                Contender::new("lock", || appends::by_hand(self.runtime, &lock, TASKS)),
                Contender::new("ours", || appends::ours(self.runtime, &store, TASKS)),
                Contender::new("ours", || appends::ours(self.runtime, &store, 64)),
            ],
        );
        let [lock, ours, ours_64] = &samples[..] else { return };
        println!("\nappends a second, one event each\n");
        let mut table = table();
        row(&mut table, "a global lock and no groups, by hand, 16 connections", lock, None);
        row(&mut table, "ours, 16 tasks", ours, Some((lock, 3.0)));
        row(&mut table, "ours, 64 tasks", ours_64, Some((lock, 3.0)));
        table.print();
    }

    fn replay(&self) {
        let store = self.open();
        let order = Uuid::now_v7();
        let repository = Repository::<Order, _>::new(store.clone());
        let schema = self.runtime.block_on(fill(&store, order));
        let floor = self.runtime.block_on(floor::Replay::open(self.address, &schema));
        let samples = operations_per_second(
            ROUNDS,
            &mut [
                Contender::new("by hand", || {
                    let (folded, elapsed) = timed(|| self.runtime.block_on(floor.fold(order)));
                    assert_eq!(folded, REPLAYED as u64);
                    (folded, elapsed)
                }),
                Contender::new("ours", || {
                    let (loaded, elapsed) = timed(|| self.runtime.block_on(repository.load(&order)));
                    (loaded.expect("the order").version.get(), elapsed)
                }),
            ],
        );
        let [by_hand, ours] = &samples[..] else { return };
        println!("\nreplayed events a second\n");
        let mut table = table();
        row(&mut table, "tokio-postgres by hand, 100,000", by_hand, None);
        row(&mut table, "ours, 100,000", ours, Some((by_hand, 0.9)));
        table.print();
    }
}

/// More where more are under way at a time.
const fn orders_of(tasks: usize) -> usize {
    if tasks == 1 { ORDERS } else { ORDERS * 4 }
}

/// Fills a stream; the name of its schema.
async fn fill(store: &PostgresStore, order: Uuid) -> String {
    let mut placed = Order::default();
    apply(&mut placed, AnyCommand::nth(0).decide(&Order::default()).expect("an order can be placed"));
    let stream = StreamId::new("Order", order);
    let mut left: Vec<NewEvent> = Vec::new();
    for ordinal in 0..REPLAYED {
        let state = if ordinal == 0 { Order::default() } else { placed.clone() };
        let event = AnyCommand::nth(if ordinal == 0 { 0 } else { 1 + ordinal % 9 }).decide(&state);
        let (event_type, payload) = encode(&event.expect("the commands come in order"));
        let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
        left.push(NewEvent { id: Uuid::now_v7(), event_type, schema_version: 1, payload: payload.into(), origin });
        if left.len() == 1000 {
            let batch = std::mem::take(&mut left);
            store.append(&stream, ExpectedVersion::Any, batch).await.expect("an append");
        }
    }
    let debug = format!("{store:?}");
    let name = debug.split("name: \"").nth(1).and_then(|rest| rest.split('"').next());
    name.expect("a store tells its schema").to_owned()
}

/// Round by round, so that no order's pages are always the last ones used.
async fn handle_all(bus: &CommandBus, orders: &[Uuid], latencies: &mut Vec<Duration>) {
    for ordinal in 0..COMMANDS {
        for &order in orders {
            let begun = std::time::Instant::now();
            let committed = match AnyCommand::nth(ordinal) {
                AnyCommand::Place(placed) => bus.dispatch(PlaceOrder { order, placed }).await,
                AnyCommand::Add(added) => bus.dispatch(AddItem { order, added }).await,
                AnyCommand::Note(taken) => bus.dispatch(TakeNote { order, taken }).await,
            };
            assert_eq!(committed.expect("the commands come in order").version, ordinal as u64 + 1);
            latencies.push(begun.elapsed());
        }
    }
}

fn table() -> Table {
    Table::new(&["", "a second", "min–max", "ratio", "aim"])
}

fn row(table: &mut Table, title: &str, samples: &Samples, floor: Option<(&Samples, f64)>) {
    let (least, most) = samples.range();
    let (ratio, aim) = floor.map_or_else(Default::default, |(floor, aim)| {
        let ratio = samples.ratio(floor);
        (format!("{ratio:.2}"), format!("≥ {aim}: {}", verdict(ratio >= aim)))
    });
    table.row([title.to_owned(), number(samples.median()), format!("{}–{}", number(least), number(most)), ratio, aim]);
}
