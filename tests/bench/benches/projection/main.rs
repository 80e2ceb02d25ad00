//! `cargo bench -p eventsource-bench --bench projection`
//!
//! A read model that writes one row an event, from the first event to the last: ours, and by hand with 1,000 events a
//! transaction, and by peers; on SQLite, and on PostgreSQL where `EVENTSOURCE_POSTGRES_URL` names a server. Then what a
//! catch-up does to commands that are handled meanwhile.

mod peers;
mod postgres;

use std::path::Path;
use std::time::{Duration, Instant};

use eventsource_bench::orders::{AnyCommand, ItemAdded, NoteTaken, Order, OrderPlaced, PlaceOrder, decode};
use eventsource_bench::sample::{Contender, operations_per_second, timed};
use eventsource_bench::scratch::Scratch;
use eventsource_bench::table::{Table, number, verdict};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteOptions, SqliteStore, SqliteTransaction, Synchronous};
use eventsource_runtime::telemetry::set_enabled;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use uuid::Uuid;

const ROUNDS: usize = 7;
const EVENTS: usize = 200_000;
/// How many events are appended at once while the store is filled, and applied at once by hand.
const BATCH: usize = 1_000;
/// How many commands are handled, one after the other, alone and beside a catch-up.
const COMMANDS: usize = 2_000;

/// The share of the floor's rate that ours is to have.
const AIM: f64 = 0.5;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS counts (kind TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID";
const UPSERT: &str = "INSERT INTO counts VALUES (?1, 1) ON CONFLICT DO UPDATE SET count = count + 1";

/// Counts the events of each kind.
struct Counts;

#[projection]
impl Counts {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(CREATE)?)
    }

    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("DELETE FROM counts")?)
    }

    fn placed(&self, _: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute(UPSERT, ["placed"])?;
        Ok(())
    }

    fn added(&self, _: &Recorded<ItemAdded>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute(UPSERT, ["added"])?;
        Ok(())
    }

    fn noted(&self, _: &Recorded<NoteTaken>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute(UPSERT, ["noted"])?;
        Ok(())
    }
}

fn main() {
    set_enabled(false);
    let runtime = Runtime::new().expect("a runtime");
    let mut scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let file = scratch.file();
    let options = SqliteOptions::default().synchronous(Synchronous::Normal);
    let store = runtime.block_on(SqliteStore::open_with(&file, options)).expect("a store");
    runtime.block_on(fill(&store, EVENTS));
    let mut contenders = vec![
        Contender::new("by hand, 1,000 events a transaction", || by_hand(&file, false)),
        Contender::new("the same, with the payloads decoded", || by_hand(&file, true)),
        Contender::new("ours", || caught_up(&runtime, &store)),
    ];
    let beside = file.with_file_name("eventsource-py.db");
    contenders.extend(peers::eventsource_py(&["sqlite".as_ref(), beside.as_os_str()]));
    compare("SQLite (`Normal`)", "ours", ROUNDS, contenders);
    let alone = runtime.block_on(latencies(&store));
    let beside = runtime.block_on(async {
        let projections = ProjectionRunner::new(store.clone()).projection(Counts).rebuild().spawn();
        let beside = latencies(&store).await;
        assert!(projections.checkpoint("Counts").is_some_and(|checkpoint| checkpoint > Position::START));
        projections.shutdown().await.expect("it stops");
        beside
    });
    print_latencies(alone, beside);
    runtime.block_on(store.close());
    match std::env::var("EVENTSOURCE_POSTGRES_URL") {
        Ok(address) => postgres::run(&runtime, &address),
        Err(_) => println!("\nskipped: PostgreSQL; set EVENTSOURCE_POSTGRES_URL"),
    }
}

async fn fill<S: EventStore + SnapshotStore>(store: &S, events: usize) {
    let orders = Repository::<Order, _>::new(store.clone());
    let mut placed = Order::default();
    let first = AnyCommand::nth(0).decide(&placed).expect("an order can be placed");
    eventsource_bench::orders::apply(&mut placed, first);
    for _ in (0..events).step_by(BATCH) {
        let events = (0..BATCH).map(|ordinal| {
            let order = if ordinal == 0 { Order::default() } else { placed.clone() };
            AnyCommand::nth(ordinal).decide(&order).expect("the commands come in order")
        });
        let decided = Decided(events.collect());
        orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, decided).await.expect("the store works");
    }
}

/// Events that were decided already.
struct Decided(Vec<eventsource_bench::orders::OrderEvent>);

impl eventsource_runtime::IntoEvents<eventsource_bench::orders::OrderEvent> for Decided {
    fn into_events(self, events: &mut Vec<eventsource_bench::orders::OrderEvent>) {
        events.extend(self.0);
    }
}

fn by_hand(file: &Path, decoded: bool) -> (u64, Duration) {
    let connection = Connection::open(file).expect("the same file");
    connection.pragma_update(None, "synchronous", "NORMAL").expect("a pragma");
    connection.pragma_update(None, "cache_size", -16_384).expect("a pragma");
    connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    let prepare = "CREATE TABLE IF NOT EXISTS checkpoint (position INTEGER NOT NULL); DELETE FROM checkpoint; \
        INSERT INTO checkpoint VALUES (0)";
    connection.execute_batch(CREATE).and_then(|()| connection.execute_batch(prepare)).expect("tables");
    let (count, elapsed) = timed(|| {
        let mut after = 0;
        let mut count = 0;
        loop {
            let (last, applied) = batch_by_hand(&connection, after, decoded).expect("SQLite works");
            if applied == 0 {
                return count;
            }
            (after, count) = (last, count + applied);
        }
    });
    (count, elapsed)
}

fn batch_by_hand(connection: &Connection, after: i64, decoded: bool) -> rusqlite::Result<(i64, u64)> {
    let (mut last, mut applied) = (after, 0);
    connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
    {
        let read = "SELECT position, event_type, payload FROM events WHERE position > ?1 ORDER BY position LIMIT ?2";
        let (mut read, mut upsert) = (connection.prepare_cached(read)?, connection.prepare_cached(UPSERT)?);
        let mut rows = read.query((after, BATCH))?;
        while let Some(row) = rows.next()? {
            let event_type = row.get_ref(1)?.as_str()?;
            if decoded {
                std::hint::black_box(decode(event_type, row.get_ref(2)?.as_blob()?));
            }
            upsert.execute([event_type])?;
            (last, applied) = (row.get(0)?, applied + 1);
        }
    }
    connection.prepare_cached("UPDATE checkpoint SET position = ?1")?.execute([last])?;
    connection.prepare_cached("COMMIT")?.raw_execute()?;
    Ok((last, applied))
}

fn caught_up(runtime: &Runtime, store: &SqliteStore) -> (u64, Duration) {
    runtime.block_on(async {
        let head = store.head().await.expect("the store works");
        let started = Instant::now();
        let projections = ProjectionRunner::new(store.clone()).projection(Counts).rebuild().spawn();
        projections.wait_for(head).await.expect("it catches up");
        let elapsed = started.elapsed();
        projections.shutdown().await.expect("it stops");
        (head.get(), elapsed)
    })
}

/// How long each of some commands takes.
async fn latencies<S: EventStore + SnapshotStore>(store: &S) -> Vec<Duration> {
    let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let mut latencies = Vec::with_capacity(COMMANDS);
    for _ in 0..COMMANDS {
        let AnyCommand::Place(placed) = AnyCommand::nth(0) else { unreachable!("the first command places") };
        let command = PlaceOrder { order: Uuid::now_v7(), placed };
        let started = Instant::now();
        bus.dispatch(command).await.expect("an order can be placed");
        latencies.push(started.elapsed());
    }
    latencies.sort_unstable();
    latencies
}

/// Has them take turns, and prints their rates beside that of the first, which is the floor; `ours` has the aim.
fn compare(place: &str, ours: &str, rounds: usize, mut contenders: Vec<Contender<'_>>) {
    let samples = operations_per_second(rounds, &mut contenders);
    let mut table = Table::new(&["", "events/s", "min–max", "ratio", "aim"]);
    for (Contender { title, .. }, rates) in contenders.iter().zip(&samples) {
        let (least, most) = rates.range();
        let ratio = rates.ratio(&samples[0]);
        table.row([
            title.clone(),
            number(rates.median()),
            format!("{}–{}", number(least), number(most)),
            if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") },
            if title == ours { format!("≥ {AIM}: {}", verdict(ratio >= AIM)) } else { String::new() },
        ]);
    }
    println!("\nprojected events a second, one row written for each, {place}\n");
    table.print();
}

fn print_latencies(alone: Vec<Duration>, beside: Vec<Duration>) {
    let mut table = Table::new(&["", "p50, µs", "p99, µs", "worst, µs"]);
    for (title, sorted) in [("commands alone", alone), ("commands beside a catch-up", beside)] {
        let at = |share: usize| number(sorted[(sorted.len() * share / 100).min(sorted.len() - 1)].as_secs_f64() * 1e6);
        table.row([title.to_owned(), at(50), at(99), at(100)]);
    }
    println!("\nhow long a command takes, one after the other\n");
    table.print();
}
