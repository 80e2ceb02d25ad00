//! Six ways in which messages reach their consumers, and the traces of each.
//!
//! ```text
//! cargo run -p eventsource-examples --example patterns             # all of them
//! cargo run -p eventsource-examples --example patterns -- batch    # one of them
//! ```
//!
//! They run on the in-process bus. On Kafka and on RabbitMQ only the bus differs, and the spans are called `send` and
//! `process`.

mod batch;
mod delayed;
mod fan_in;
mod fan_out;
mod retry;
mod rolling_start;

use eventsource_runtime::prelude::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PATTERNS: [(&str, &str); 6] = [
    ("fan-out", "One event, three services: the handlers are children of the span that published it."),
    ("fan-in", "Two events, one reaction when both are there: it belongs to neither trace, and links to both."),
    ("batch", "Five events, one span: a span has one parent at most, so that it links to the five."),
    (
        "retry",
        "A handler that fails is tried again, then gives up; the dead letter is replayed, linked to the original.",
    ),
    ("delayed", "An event from this morning: a trace of its own with a link, for its trace is over."),
    ("rolling-start", "Half of the producers are older and send no context: their messages start a new trace."),
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let only = std::env::args().nth(1);
    if let Some(unknown) = only.as_deref().filter(|only| PATTERNS.iter().all(|(name, _)| name != only)) {
        let names: Vec<_> = PATTERNS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no pattern `{unknown}`; write one of {}", names.join(", ")).into());
    }
    let telemetry = Telemetry::from_env("patterns").console_without_endpoint().install()?;
    for (name, shows) in PATTERNS.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        eprintln!("\n== {name}\n{shows}\n");
        run(name).await?;
        telemetry.force_flush().await?;
    }
    telemetry.shutdown().await?;
    Ok(())
}

async fn run(name: &str) -> Result<(), Failure> {
    match name {
        "fan-out" => fan_out::run().await,
        "fan-in" => fan_in::run().await,
        "batch" => batch::run().await,
        "retry" => retry::run().await,
        "delayed" => delayed::run().await,
        _ => rolling_start::run().await,
    }
}
