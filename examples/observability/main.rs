//! A service under a steady load, to see its metrics and traces in Prometheus, Grafana and Jaeger: see `README.md`
//! beside this file.
//!
//! ```text
//! cargo run -p eventsource-examples --example observability
//! ```
//!
//! It serves its metrics at `http://localhost:9464/metrics`, or where `OTEL_EXPORTER_PROMETHEUS_HOST` and `…_PORT` say,
//! and sends traces to `OTEL_EXPORTER_OTLP_ENDPOINT`. Stop it with Ctrl-C.

use std::env;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use eventsource_runtime::bus::{InProcessBus, Received, Relay};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{SqliteReader, SqliteStore, SqliteTransaction};
use eventsource_runtime::telemetry::Scrape;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// How many clerks book at once, and on how few accounts: so that some conflict.
const CLERKS: u32 = 4;
const ACCOUNTS: u32 = 3;
/// The account whose bookings become dead letters.
const DISPUTED: &str = "account-0";
/// How long a clerk rests between two bookings.
const REST: Duration = Duration::from_millis(20);

#[derive(Event, Serialize, Deserialize)]
struct Booked {
    cents: i64,
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = String, error = Overdrawn, events(Booked), snapshot(every = 20))]
struct Account {
    cents: i64,
}

impl Apply<Booked> for Account {
    fn apply(&mut self, event: Booked) {
        self.cents += event.cents;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the account would be overdrawn")]
struct Overdrawn;

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Book {
    #[command(id)]
    account: String,
    #[command(attribute = "booking.cents")]
    cents: i64,
}

#[command_handler]
impl Account {
    fn book(&self, command: Book) -> Result<Booked, Overdrawn> {
        if self.cents + command.cents < 0 { Err(Overdrawn) } else { Ok(Booked { cents: command.cents }) }
    }
}

struct Balances;

#[projection(enable_tracing = true)]
impl Balances {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("CREATE TABLE balances (account TEXT PRIMARY KEY, cents INTEGER NOT NULL)")?;
        Ok(())
    }

    fn booked(&self, event: &Recorded<Booked>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let upsert = "INSERT INTO balances VALUES (?1, ?2) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents";
        tx.execute(upsert, (event.aggregate_id(), event.cents))?;
        Ok(())
    }
}

/// Fails on the bookings of one account, so that there are dead letters.
struct Audit;

#[projection]
impl Audit {
    fn booked(&self, event: &Recorded<Booked>) -> Result<(), ProjectionError> {
        if event.aggregate_id() == DISPUTED { Err(ProjectionError::new("the account is disputed")) } else { Ok(()) }
    }
}

#[derive(Query, Deserialize)]
#[query(output = Vec<i64>)]
struct AllBalances {}

struct Reading {
    db: SqliteReader,
}

#[query_handler]
impl Reading {
    async fn all(&self, _: AllBalances) -> Result<Vec<i64>, StoreError> {
        let read = self.db.read(|connection| {
            connection.prepare_cached("SELECT cents FROM balances")?.query_map([], |row| row.get(0))?.collect()
        });
        read.await
    }
}

/// Books and reads forever; rejected commands, and those with too many conflicts, are dropped.
async fn work(clerk: u32, commands: CommandBus, queries: QueryBus) -> Result<(), QueryError> {
    for round in 0_u32.. {
        let account = format!("account-{}", round % ACCOUNTS);
        let cents = if (round + clerk).is_multiple_of(5) { -400 } else { 100 };
        // The outcome is in the metrics.
        let _ = commands.dispatch(Book { account, cents }).await;
        queries.execute(AllBalances {}).await?;
        tokio::time::sleep(REST).await;
    }
    Ok(())
}

/// Where the metrics are served, from OpenTelemetry's variables for it.
fn address() -> Result<(String, u16), Box<dyn std::error::Error>> {
    let host = env::var("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|_| "localhost".into());
    let port = env::var("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or_else(|_| "9464".into());
    let port = port.parse().map_err(|_| format!("OTEL_EXPORTER_PROMETHEUS_PORT is `{port}`; write a port"))?;
    Ok((host, port))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scrape = Scrape::new();
    let telemetry = Telemetry::from_env("observability").prometheus(&scrape).install()?;
    let listener = TcpListener::bind(address()?).await?;
    println!("metrics at http://{}/metrics", listener.local_addr()?);
    let text = async move || ([(CONTENT_TYPE, Scrape::CONTENT_TYPE)], scrape.text());
    let metrics = axum::serve(listener, Router::new().route("/metrics", get(text)));

    let store = SqliteStore::open(":memory:").await?;
    let commands = CommandBus::builder().aggregate(Repository::<Account, _>::new(store.clone())).build();
    let queries = QueryBus::builder().handler(Reading { db: store.reader() }).build();
    let projections = ProjectionRunner::new(store.clone()).projection(Balances).spawn();
    let audit = ProjectionRunner::new(store.clone()).projection(Audit).max_retries(1);
    let audit = audit.on_failure(OnFailure::DeadLetter).spawn();
    let bus = InProcessBus::new();
    // Another service, which receives every booking.
    let statements = bus.subscribe("statements").handle(async |_: Received| Ok(())).await?;
    let relay = Relay::new("bookings to the bus", store, bus).spawn();
    // Until its tables exist.
    projections.wait_for(Position::START).await?;
    let mut clerks = tokio::task::JoinSet::new();
    for clerk in 0..CLERKS {
        clerks.spawn(work(clerk, commands.clone(), queries.clone()));
    }
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        served = metrics => served?,
        Some(ended) = clerks.join_next() => ended??,
        stopped = projections.stopped() => return Err(stopped.into()),
        stopped = relay.stopped() => return Err(stopped.into()),
    }
    clerks.shutdown().await;
    projections.shutdown().await?;
    audit.shutdown().await?;
    relay.shutdown().await?;
    statements.shutdown().await?;
    Ok(telemetry.shutdown().await?)
}
