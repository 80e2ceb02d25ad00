//! Orders from a file: each line a command, the events in `SQLite`, a projection that follows, and every step traced.
//!
//! ```text
//! cargo run -p eventsource-examples --example orders -- [FILE | -] [--db PATH]
//! ```
//!
//! It reads `examples/data/orders.jsonl` unless told otherwise, and keeps `orders.db` in the current folder. Stop it
//! and run it again on the same files: each line has an id, so that no command is handled twice.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use eventsource_runtime::dispatch::DispatchJsonError;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteReader, SqliteStore, SqliteTransaction};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// How many traces are shown before the program goes on quietly: those of the first commands and their projections.
const TRACES: usize = 6;

// ---- The domain ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OrderPlaced {
    customer: String,
    lines: Vec<OrderLine>,
    shipping_address: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "OrderShipped", version = 2, upcast(1 => carrier_unknown))]
struct OrderShipped {
    #[event(attribute = "order.carrier")]
    carrier: String,
    tracking: String,
}

/// Version 1 had no carrier.
fn carrier_unknown(mut payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let shipped = payload.as_object_mut().ok_or_else(|| UpcastError::new("a shipped order is an object"))?;
    shipped.insert("carrier".into(), "unknown".into());
    Ok(payload)
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OrderCancelled {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OrderLine {
    product: String,
    quantity: u32,
}

#[derive(Aggregate, Clone, Debug, Default)]
#[aggregate(id = Uuid, error = OrderError, events(OrderPlaced, OrderShipped, OrderCancelled))]
struct Order {
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Status {
    #[default]
    New,
    Placed,
    Shipped,
    Cancelled,
}

impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, _: OrderPlaced) {
        self.status = Status::Placed;
    }
}

impl Apply<OrderShipped> for Order {
    fn apply(&mut self, _: OrderShipped) {
        self.status = Status::Shipped;
    }
}

impl Apply<OrderCancelled> for Order {
    fn apply(&mut self, _: OrderCancelled) {
        self.status = Status::Cancelled;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderError {
    #[error("an order needs at least one line")]
    Empty,
    #[error("the order is {0}")]
    WrongStatus(&'static str),
}

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct PlaceOrder {
    #[command(id)]
    order_id: Uuid,
    #[command(attribute = "command.user_id")]
    user_id: String,
    customer: String,
    lines: Vec<OrderLine>,
    shipping_address: String,
}

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct ShipOrder {
    #[command(id)]
    order_id: Uuid,
    carrier: String,
    tracking: String,
}

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct CancelOrder {
    #[command(id)]
    order_id: Uuid,
    reason: String,
}

#[command_handler]
impl Order {
    #[traced(attributes("order.line_count" = command.lines.len()))]
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> {
        let PlaceOrder { customer, lines, shipping_address, .. } = command;
        match self.status {
            Status::New if lines.is_empty() => Err(OrderError::Empty),
            Status::New => Ok(OrderPlaced { customer, lines, shipping_address }),
            _ => Err(OrderError::WrongStatus("already placed")),
        }
    }

    fn ship(&self, command: ShipOrder) -> Result<OrderShipped, OrderError> {
        match self.status {
            Status::Placed => Ok(OrderShipped { carrier: command.carrier, tracking: command.tracking }),
            _ => Err(OrderError::WrongStatus("not waiting to be shipped")),
        }
    }

    /// Cancelling twice is no mistake, but nothing happens the second time.
    fn cancel(&self, command: CancelOrder) -> Result<Option<OrderCancelled>, OrderError> {
        match self.status {
            Status::Placed => Ok(Some(OrderCancelled { reason: command.reason })),
            Status::Cancelled => Ok(None),
            Status::New => Err(OrderError::WrongStatus("not placed")),
            Status::Shipped => Err(OrderError::WrongStatus("on its way")),
        }
    }
}

// ---- The read side ----

struct OrderViews;

#[projection(name = "OrderViews", enable_tracing = true)]
impl OrderViews {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(
            "CREATE TABLE order_views (order_id TEXT PRIMARY KEY, status TEXT NOT NULL, customer TEXT NOT NULL)",
        )?;
        Ok(())
    }

    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("DELETE FROM order_views")?;
        Ok(())
    }

    #[traced("projection.insert_read_model", attributes("projection.action" = "create"))]
    fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("INSERT INTO order_views VALUES (?1, 'placed', ?2)", (event.aggregate_id(), &event.customer))?;
        Ok(())
    }

    #[traced("projection.update_read_model", attributes("projection.action" = "update"))]
    fn shipped(&self, event: &Recorded<OrderShipped>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("UPDATE order_views SET status = 'shipped' WHERE order_id = ?1", [event.aggregate_id()])?;
        Ok(())
    }

    #[traced("projection.update_read_model", attributes("projection.action" = "update"))]
    fn cancelled(&self, event: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("UPDATE order_views SET status = 'cancelled' WHERE order_id = ?1", [event.aggregate_id()])?;
        Ok(())
    }
}

#[derive(Query, Debug, Deserialize)]
#[query(output = Vec<StatusCount>)]
struct OrdersByStatus {}

#[derive(Debug, Serialize)]
struct StatusCount {
    status: String,
    orders: u64,
    customers: u64,
}

struct OrderQueries {
    db: SqliteReader,
}

#[query_handler]
impl OrderQueries {
    async fn by_status(&self, _query: OrdersByStatus) -> Result<Vec<StatusCount>, StoreError> {
        let sql = "SELECT status, count(*), count(DISTINCT customer) FROM order_views GROUP BY status ORDER BY status";
        let counts = self.db.read(move |connection| {
            connection
                .prepare_cached(sql)?
                .query_map([], |row| {
                    Ok(StatusCount { status: row.get(0)?, orders: row.get(1)?, customers: row.get(2)? })
                })?
                .collect()
        });
        counts.await
    }
}

// ---- The program ----

/// A line of the input.
#[derive(Deserialize)]
struct Line<'a> {
    /// Makes the line safe to read again.
    id: Uuid,
    command: &'a str,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// What became of the lines.
#[derive(Default)]
struct Counts {
    done: u64,
    unchanged: u64,
    repeated: u64,
    rejected: u64,
    failed: u64,
    last: Position,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { input, db } = Arguments::parse()?;
    let telemetry = Telemetry::from_env("orders").console_without_endpoint().console_traces(TRACES).install()?;
    let store = SqliteStore::open(&db).await?;
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store.clone()).projection(OrderViews).spawn();

    let lines = input.lines()?;
    let mut progress = Progress::new(lines.len());
    let mut counts = Counts::default();
    for (number, line) in lines.iter().enumerate() {
        match handle(&commands, line).await {
            Ok(committed) => counts.committed(&committed),
            Err(error) => {
                progress.interrupt();
                counts.fault(&error);
                eprintln!("line {}: {error}", number + 1);
            }
        }
        if number < TRACES {
            // So that each of the first commands is shown beside the projection that it caused.
            projections.wait_for(counts.last).await?;
        }
        progress.step();
    }
    projections.wait_for(counts.last).await?;
    progress.finish();
    let queries = QueryBus::builder().handler(OrderQueries { db: store.reader() }).build();
    let by_status = queries.execute(OrdersByStatus {}).await?;
    projections.shutdown().await?;
    telemetry.shutdown().await?;
    println!("{}", Report { by_status, counts });
    println!("the events are in {}", db.display());
    Ok(())
}

async fn handle(commands: &CommandBus, line: &str) -> Result<Committed, LineError> {
    let Line { id, command, payload } = serde_json::from_str(line)?;
    let context = Context { command_id: Some(id), ..Context::default() };
    Ok(commands.dispatch_json_with(command, payload.get().as_bytes(), context).await?)
}

/// Why a line led to nothing.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("not a command: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}{cause}", cause = cause(.0))]
    Dispatch(#[from] DispatchJsonError),
}

/// What is wrong with a payload, which the error itself leaves to its source.
fn cause(error: &DispatchJsonError) -> String {
    match error {
        DispatchJsonError::BadPayload { source, .. } => format!(": {source}"),
        _ => String::new(),
    }
}

impl Counts {
    fn committed(&mut self, committed: &Committed) {
        let count = match committed {
            committed if committed.repeated => &mut self.repeated,
            committed if committed.events == 0 => &mut self.unchanged,
            _ => &mut self.done,
        };
        *count += 1;
        self.last = self.last.max(committed.position);
    }

    fn fault(&mut self, error: &LineError) {
        let rejected = matches!(error, LineError::Dispatch(DispatchJsonError::Rejected { .. }));
        let count = if rejected { &mut self.rejected } else { &mut self.failed };
        *count += 1;
    }
}

/// The read model and the counts, as tables.
struct Report {
    by_status: Vec<StatusCount>,
    counts: Counts,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12}{:>8}{:>11}", "status", "orders", "customers")?;
        for StatusCount { status, orders, customers } in &self.by_status {
            writeln!(f, "{status:<12}{orders:>8}{customers:>11}")?;
        }
        let Counts { done, unchanged, repeated, rejected, failed, .. } = self.counts;
        writeln!(f)?;
        writeln!(f, "{done} done, {unchanged} without effect, {repeated} done before")?;
        write!(f, "{rejected} rejected, {failed} failed")
    }
}

/// A bar on a terminal; nothing where the output is read by a program.
struct Progress {
    done: usize,
    of: usize,
    shown: bool,
}

impl Progress {
    const WIDTH: usize = 40;

    fn new(of: usize) -> Self {
        Self { done: 0, of, shown: io::stderr().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.shown && self.done > TRACES {
            let filled = Self::WIDTH * self.done / self.of;
            eprint!("\r[{:<width$}] {}/{}", "#".repeat(filled), self.done, self.of, width = Self::WIDTH);
            // A bar that cannot be shown is no reason to stop.
            let _ = io::stderr().flush();
        }
    }

    /// Clears the bar, so that a message can take its place.
    fn interrupt(&self) {
        if self.shown && self.done > TRACES {
            eprint!("\r{:width$}\r", "", width = Self::WIDTH + 16);
        }
    }

    fn finish(&self) {
        if self.shown {
            eprintln!();
        }
    }
}

/// What the command line says.
struct Arguments {
    input: Input,
    db: PathBuf,
}

enum Input {
    Standard,
    File(PathBuf),
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let mut parsed = Self {
            input: Input::File(concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.jsonl").into()),
            db: "orders.db".into(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-" => parsed.input = Input::Standard,
                "--db" => parsed.db = arguments.next().ok_or("`--db` needs a path")?.into(),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`; write `[FILE | -] [--db PATH]`"));
                }
                file => parsed.input = Input::File(file.into()),
            }
        }
        Ok(parsed)
    }
}

impl Input {
    /// The lines. One that is no UTF-8 is kept, for its error to be told.
    fn lines(self) -> io::Result<Vec<String>> {
        let reader: Box<dyn BufRead> = match self {
            Self::Standard => Box::new(io::stdin().lock()),
            Self::File(path) => Box::new(BufReader::new(File::open(path)?)),
        };
        let lines = reader.split(b'\n').map(|line| Ok(String::from_utf8_lossy(&line?).into_owned()));
        lines.collect()
    }
}
