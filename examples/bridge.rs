//! A web service whose spans and ours are spans of `tracing`, in one tree, under one filter.
//!
//! ```text
//! RUST_LOG=info,tower_http=debug cargo run -p eventsource-examples --example bridge
//! ```
//!
//! It sends itself two requests, and prints the log on stdout and the traces on stderr. Write
//! `RUST_LOG=info,eventsource::store=off`, and the spans of the store are gone.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{self, Request, StatusCode};
use axum::routing::post;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use tower_http::trace::TraceLayer;
use tracing::Instrument;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
        // A span of this program below one of ours, `handle_command`.
        let fits = tracing::info_span!("limit")
            .in_scope(|| self.cents.checked_add(command.cents).is_some_and(|sum| sum <= 1000));
        if fits { Ok(Deposited { cents: command.cents }) } else { Err(TooMuch) }
    }
}

/// The span of `tower-http` is the parent of this one, ours are its children, and the handler's is a child of ours.
async fn deposit(State(commands): State<CommandBus>, Path((account, cents)): Path<(String, u64)>) -> StatusCode {
    let dispatched = commands.dispatch(Deposit { account, cents }).instrument(tracing::info_span!("deposit"));
    match dispatched.await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(DispatchError::Rejected(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        // Every attempt conflicted with another write to the account: the client may retry.
        Err(error) if error.conflict().is_some() => StatusCode::CONFLICT,
        // An event that cannot be read, for example.
        Err(error) if error.is_permanent() => StatusCode::INTERNAL_SERVER_ERROR,
        // The store is in trouble, which may pass.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Sends the service a deposit that fits and one that does not.
pub(crate) async fn two_deposits() -> Result<[StatusCode; 2], http::Error> {
    let commands = CommandBus::builder().aggregate(Repository::<Account, _>::new(MemoryStore::new())).build();
    let service = Router::new()
        .route("/accounts/{account}/deposits/{cents}", post(deposit))
        .layer(TraceLayer::new_for_http())
        .with_state(commands);
    let mut answers = [StatusCode::OK; 2];
    for (answer, cents) in answers.iter_mut().zip([500, 501]) {
        let request = Request::post(format!("/accounts/ada/deposits/{cents}")).body(Body::empty())?;
        let Ok(answered) = service.clone().oneshot(request).await;
        *answer = answered.status();
    }
    Ok(answers)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::from_env("bridge").console_without_endpoint().bridge_to_tracing().install()?;
    tracing_subscriber::registry()
        .with(EnvFilter::builder().parse(std::env::var("RUST_LOG").unwrap_or_else(|_| "info,tower_http=debug".into()))?)
        .with(telemetry.tracing_layer())
        .with(tracing_subscriber::fmt::layer())
        .try_init()?;

    let [first, second] = two_deposits().await?;
    println!("500 cents: {first}; 501 cents: {second}");
    Ok(telemetry.shutdown().await?)
}
