//! A web service from its start to its end: commands over HTTP that a client may repeat, reads that show what it wrote,
//! health checks, and a shutdown that loses nothing.
//!
//! ```text
//! cargo run -p eventsource-examples --example service
//! curl -i -X POST localhost:8080/accounts/ada/deposits/500 -H 'Idempotency-Key: 1' -H 'If-Match: "0"'
//! curl -i localhost:8080/accounts/ada
//! curl -i localhost:8080/ready
//! ```
//!
//! Its events and its read model are in `accounts.db` in the current folder; `ADDRESS` and `DATABASE` name others. End it
//! with Ctrl-C or SIGTERM. On PostgreSQL the store is a `PostgresStore`, its `reader()` a `PostgresReader`, and the methods
//! of the projection and the closures of the reader are async.

use std::env;
use std::error::Error;
use std::future::pending;
use std::iter::successors;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::Progress;
use eventsource_runtime::store::{ExpectedVersion, SqliteReader, SqliteStore, SqliteTransaction, Version};
use eventsource_runtime::telemetry::TraceContext;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a request waits for its command, and then for the read model, and how long the end waits for answers.
const DISPATCH: Duration = Duration::from_secs(5);
const READ_MODEL: Duration = Duration::from_secs(1);
const ANSWERS: Duration = Duration::from_secs(10);

// ---- The domain ----

#[derive(Event, Serialize, Deserialize)]
struct Deposited {
    cents: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = TooMuch, events(Deposited))]
struct Account {
    cents: u64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.cents += event.cents;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an account holds at most 1000 cents")]
struct TooMuch;

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Deposit {
    #[command(id)]
    account: String,
    #[command(attribute = "deposit.cents")]
    cents: u64,
}

#[command_handler]
impl Account {
    fn deposit(&self, command: Deposit) -> Result<Deposited, TooMuch> {
        let fits = self.cents.checked_add(command.cents).is_some_and(|sum| sum <= 1000);
        if fits { Ok(Deposited { cents: command.cents }) } else { Err(TooMuch) }
    }
}

struct Balances;

#[projection(enable_tracing = true)]
impl Balances {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE balances (account TEXT PRIMARY KEY, cents INTEGER, version INTEGER)")?)
    }

    fn deposited(&self, event: &Recorded<Deposited>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let upsert = "INSERT INTO balances VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET cents = cents + excluded.cents, version = excluded.version";
        tx.execute(upsert, (event.aggregate_id(), event.cents, event.version()))?;
        Ok(())
    }
}

// ---- The service ----

#[derive(Clone)]
struct Service {
    commands: CommandBus,
    balances: SqliteReader,
    store: SqliteStore,
    progress: Progress,
}

/// 204 with the account's version once the read model shows the deposit, or 202 if that takes longer.
#[traced(
    "POST /accounts/{account}/deposits/{cents}",
    kind = "server",
    parent = caller(&headers),
    fault = StatusCode::is_server_error,
    record("http.response.status_code" = result.as_ref().map_or_else(StatusCode::as_u16, |answer| answer.status().as_u16()))
)]
async fn deposit(
    State(service): State<Service>,
    Path((account, cents)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let request = format!("deposit {account} {cents}");
    let context = Context {
        command_id: command_id(&headers, &request),
        expected_version: expected_version(&headers)?,
        ..Context::default()
    };
    // A store whose lock another process has, or whose server hangs, would hold the request for longer than its client
    // waits. Whether the command was stored is not known then: the client asks again with the same key.
    let dispatched = timeout(DISPATCH, service.commands.dispatch_with(Deposit { account, cents }, context));
    let committed = match dispatched.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)? {
        Ok(committed) => committed,
        Err(DispatchError::Rejected(TooMuch)) => return Err(StatusCode::UNPROCESSABLE_ENTITY),
        // The account is not as the client has seen it.
        Err(error) if error.is_outdated() => return Err(StatusCode::PRECONDITION_FAILED),
        // All retries lost against other writers.
        Err(error) if error.conflict().is_some() => return Err(StatusCode::CONFLICT),
        // No client mends this by asking again.
        Err(error) if error.is_permanent() => return Err(StatusCode::INTERNAL_SERVER_ERROR),
        Err(_) => return Err(StatusCode::SERVICE_UNAVAILABLE),
    };
    let shown = service.progress.wait_for_within(committed.position, READ_MODEL).await;
    let status = if shown.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED };
    Ok((status, [(ETAG, format!("\"{}\"", committed.version))]).into_response())
}

#[traced("GET /accounts/{account}", kind = "server", parent = caller(&headers), fault = StatusCode::is_server_error)]
async fn balance(
    State(service): State<Service>,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let found = service.balances.read(move |connection| {
        let mut row = connection.prepare_cached("SELECT cents, version FROM balances WHERE account = ?1")?;
        row.query_map([account], |row| Ok((row.get(0)?, row.get(1)?)))?.next().transpose()
    });
    let found: Option<(u64, Version)> = found.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let (cents, version) = found.ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(ETAG, format!("\"{version}\""))], format!("{cents}\n")).into_response())
}

/// Whether requests can be served now, as far as reading tells. A process that is alive answers at all; one whose
/// projection has stopped ends.
async fn ready(State(service): State<Service>) -> StatusCode {
    if service.store.head().await.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The span of the client, if it sent one.
fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::from_headers(|name| headers.get(name)?.to_str().ok())
}

/// The same for the same request with the same key, and no other: so a client may repeat it.
fn command_id(headers: &HeaderMap, request: &str) -> Option<Uuid> {
    let key = headers.get("idempotency-key")?.as_bytes();
    Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, &[key, b"\n", request.as_bytes()].concat()))
}

fn expected_version(headers: &HeaderMap) -> Result<Option<ExpectedVersion>, StatusCode> {
    let Some(tag) = headers.get(IF_MATCH) else { return Ok(None) };
    if tag == "*" {
        return Ok(Some(ExpectedVersion::Exists));
    }
    let version = tag.to_str().ok().and_then(|tag| tag.trim_matches('"').parse::<Version>().ok());
    version.map(|version| Some(version.into())).ok_or(StatusCode::BAD_REQUEST)
}

// ---- The program ----

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Telemetry::from_env("accounts").console_without_endpoint().install()?;
    let ended = serve().await;
    // Last, so that the spans of the end are exported too, and also if the service failed.
    let exported = telemetry.shutdown().await;
    ended?;
    Ok(exported?)
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(env::var("DATABASE").unwrap_or_else(|_| "accounts.db".into())).await?;
    let commands = CommandBus::builder().aggregate(Repository::<Account, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store.clone()).projection(Balances).spawn();
    let progress = projections.progress();
    let service = Service { commands, balances: store.reader(), store, progress: progress.clone() };
    let routes = Router::new()
        .route("/accounts/{account}/deposits/{cents}", post(deposit))
        .route("/accounts/{account}", get(balance))
        .route("/live", get(async || StatusCode::OK))
        .route("/ready", get(ready))
        .with_state(service);
    let listener = TcpListener::bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".into())).await?;
    println!("listening on {}", listener.local_addr()?);

    // First no more requests, and those that came are answered; then the projections finish what they have begun.
    let (ending, mut end) = tokio::sync::watch::channel(false);
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move {
        until_ended(&progress).await;
        ending.send_replace(true);
    });
    tokio::select! {
        served = served => served?,
        () = async { drop(end.wait_for(|&ended| ended).await); tokio::time::sleep(ANSWERS).await } => (),
    }
    projections.shutdown().await?;
    Ok(())
}

/// Until the process is asked to end, or a projection has stopped: then a supervisor starts it again.
async fn until_ended(progress: &Progress) {
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = pending::<()>();
    tokio::select! {
        _ = signal::ctrl_c() => (),
        () = terminated => (),
        stopped = progress.stopped() => eprintln!("{}", with_causes(&stopped)),
    }
}

/// What an error says, and after colons what its causes say: why something stopped is in these alone.
fn with_causes(error: &dyn Error) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
