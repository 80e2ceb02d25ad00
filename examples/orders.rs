//! Orders from a file: each line a command, the events in `SQLite`, a projection that follows, and every step traced.
//!
//! ```text
//! cargo run -p eventsource-examples --example orders -- [FILE | -] [--db PATH] [--view PAGE]
//! ```
//!
//! With `--view orders.html` all traces are written to that page, for a browser.
//!
//! It reads `examples/data/orders.jsonl` unless told otherwise, and keeps `orders.db` in the current folder. Stop it
//! and run it again on the same files: each line has an id, so no command is handled twice.
//!
//! Its last line counts what became of the commands. Those `without effect` found their order as they wanted it, those
//! `done before` were handled by an earlier line of that id, as all are when it is run again; the order refused those
//! that were `rejected`, and those that `failed` were unreadable, or could not be handled.
//!
//! It is longer than a file should be because it is one program, to be read from top to bottom.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::iter::successors;
use std::path::PathBuf;

use eventsource_runtime::dispatch::DispatchJsonError;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteReader, SqliteStore, SqliteTransaction};
use eventsource_runtime::telemetry::TelemetryBuilder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use terminal_size::{Width, terminal_size_of};
use uuid::Uuid;

/// How many traces are shown before the program continues quietly: those of the first commands and their projections.
const TRACES: usize = 6;

// ---- The domain ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OrderPlaced {
    customer: String,
    lines: Vec<OrderLine>,
    shipping_address: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "OrderShipped", version = 2, upcast(1 => carrier_unknown))] // version 1 had no carrier
struct OrderShipped {
    #[event(attribute = "order.carrier")]
    carrier: String,
    tracking: String,
}

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

#[derive(Aggregate, Default)]
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

    /// Cancelling twice is not an error, but has no effect the second time.
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
    #[serde(borrow)]
    command: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The outcomes of the lines.
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
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let telemetry = arguments.telemetry().install()?;
    let store = SqliteStore::open(&arguments.db).await?;
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store.clone()).projection(OrderViews).spawn();

    let mut progress = Progress::new(arguments.count()?);
    let mut counts = Counts::default();
    for (number, line) in arguments.lines()?.enumerate() {
        match handle(&commands, &line?).await {
            Ok(committed) => counts.committed(&committed),
            Err(error) => {
                progress.interrupt();
                counts.fault(&error);
                tell(format_args!("line {}: {}\n", number + 1, inert(&error)));
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
    // Puts what SQLite keeps beside the file into it.
    store.close().await;
    let exported = telemetry.shutdown().await;
    let mut out = io::stdout().lock();
    report(&mut out, &by_status, &counts)?;
    writeln!(out, "the events are in {}", arguments.db.display())?;
    // What was done stays done.
    if let Err(error) = exported {
        tell(format_args!("telemetry: {error}{}\n", root(&error)));
    }
    if let Some(page) = arguments.view.filter(|page| page.exists()) {
        writeln!(out, "the traces are in {}", page.display())?;
    }
    Ok(())
}

/// What it says, with escapes for all but quotes, since it quotes untrusted input.
fn inert(error: &LineError) -> String {
    error.to_string().escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// Writes to stderr. That nobody can read it is no reason to stop.
fn tell(what: fmt::Arguments<'_>) {
    let mut err = io::stderr();
    let _ = err.write_fmt(what).and_then(|()| err.flush());
}

async fn handle(commands: &CommandBus, line: &[u8]) -> Result<Committed, LineError> {
    let Line { id, command, payload } = serde_json::from_slice(line)?;
    let context = Context { command_id: Some(id), ..Context::default() };
    Ok(commands.dispatch_json_with(&command, payload.get(), context).await?)
}

/// Why a line was not handled.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("not a command: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{error}{}", root(error))]
    Dispatch {
        #[from]
        error: DispatchJsonError,
    },
}

/// What is behind an error, after a colon: a store that failed is a cause that says the same once more.
fn root(error: &dyn Error) -> String {
    let root = successors(error.source(), |&cause| cause.source()).last();
    root.map(|root| format!(": {root}")).unwrap_or_default()
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
        let rejected = matches!(error, LineError::Dispatch { error: DispatchJsonError::Rejected { .. } });
        let count = if rejected { &mut self.rejected } else { &mut self.failed };
        *count += 1;
    }
}

/// The read model and the counts, as tables.
fn report(out: &mut impl Write, by_status: &[StatusCount], counts: &Counts) -> io::Result<()> {
    writeln!(out, "{:<12}{:>8}{:>11}", "status", "orders", "customers")?;
    for StatusCount { status, orders, customers } in by_status {
        writeln!(out, "{status:<12}{orders:>8}{customers:>11}")?;
    }
    let Counts { done, unchanged, repeated, rejected, failed, .. } = counts;
    writeln!(
        out,
        "\n{done} done, {unchanged} without effect, {repeated} done before, {rejected} rejected, {failed} failed"
    )
}

/// A progress bar on a terminal; nothing if a program reads the output.
struct Progress {
    done: usize,
    of: Option<usize>,
    /// How long the bar is on this terminal; `None` if there is none.
    width: Option<usize>,
}

impl Progress {
    fn new(of: Option<usize>) -> Self {
        let columns = || terminal_size_of(io::stderr()).map_or(80, |(Width(columns), _)| usize::from(columns));
        // Beside it stand the numbers.
        let width = io::stderr().is_terminal().then(|| columns().saturating_sub(20).min(40));
        Self { done: 0, of, width }
    }

    fn step(&mut self) {
        self.done += 1;
        match (self.width, self.of) {
            (Some(width), Some(of)) if self.done > TRACES => {
                let bar = "#".repeat(width * self.done / of);
                tell(format_args!("\r[{bar:<width$}] {}/{of}", self.done));
            }
            (Some(_), None) if self.done > TRACES => tell(format_args!("\r{} lines", self.done)),
            _ => (),
        }
    }

    /// Clears the bar, so that a message can take its place.
    fn interrupt(&self) {
        if self.width.is_some() {
            tell(format_args!("\r\x1b[K"));
        }
    }

    fn finish(&self) {
        if self.width.is_some() {
            tell(format_args!("\n"));
        }
    }
}

/// The command-line arguments.
struct Arguments {
    /// `None` for the standard input.
    input: Option<PathBuf>,
    db: PathBuf,
    /// Where the page with all traces goes, if it is wanted.
    view: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let input = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.jsonl").into();
        let mut parsed = Self { input: Some(input), db: "orders.db".into(), view: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-" => parsed.input = None,
                "--db" => parsed.db = arguments.next().ok_or("`--db` needs a path")?.into(),
                "--view" => parsed.view = Some(arguments.next().ok_or("`--view` needs a path")?.into()),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`; write `[FILE | -] [--db PATH] [--view PAGE]`"));
                }
                file => parsed.input = Some(file.into()),
            }
        }
        Ok(parsed)
    }

    fn telemetry(&self) -> TelemetryBuilder {
        let telemetry = Telemetry::from_env("orders").console_without_endpoint().console_traces(TRACES);
        match &self.view {
            Some(page) => telemetry.view(page),
            None => telemetry,
        }
    }

    /// The lines, as they come.
    fn lines(&self) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
        let reader: Box<dyn BufRead> = match &self.input {
            None => Box::new(io::stdin().lock()),
            Some(path) => Box::new(BufReader::new(File::open(path)?)),
        };
        Ok(reader.split(b'\n'))
    }

    /// How many lines there are, if they can be read twice.
    fn count(&self) -> io::Result<Option<usize>> {
        let is_file = self.input.as_ref().is_some_and(|path| path.is_file());
        Ok(if is_file { Some(self.lines()?.map_while(Result::ok).count()) } else { None })
    }
}
